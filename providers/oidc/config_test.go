package oidc_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
)

func faults(cfg oidc.Config) []string {
	var found []string
	cfg.Validate(func(key, problem string) { found = append(found, key+": "+problem) })
	return found
}

func valid() oidc.Config {
	return oidc.Config{
		Issuer:    "https://sso.corp.example/realms/corp",
		ClientID:  "registry",
		Grants:    []string{"password", "refresh_token", "id_token"},
		Audience:  []string{"registry"},
		Groups:    oidc.Groups{Claim: "realm_access.roles", GroupNames: providers.GroupNames{Only: []string{"reg-*"}}},
		AuthStyle: "none",
	}.WithDefaults()
}

func TestValidateAccepts(t *testing.T) {
	for name, change := range map[string]func(*oidc.Config){
		"unchanged":                     func(c *oidc.Config) {},
		"loopback":                      func(c *oidc.Config) { c.Issuer = "http://127.0.0.1:8080" },
		"loopback, IPv6":                func(c *oidc.Config) { c.Issuer = "http://[::1]:8080/x" },
		"localhost":                     func(c *oidc.Config) { c.Issuer = "http://localhost:8080/" },
		"discovery":                     func(c *oidc.Config) { c.Discovery = "https://dex.internal:5556/dex/" },
		"discovery, plain but loopback": func(c *oidc.Config) { c.Discovery = "http://127.0.0.1:5556/dex" },
		"insecure":                      func(c *oidc.Config) { c.Issuer, c.Insecure = "http://sso.corp.example", true },
		"Entra ID":                      func(c *oidc.Config) { c.Issuer = "https://login.microsoftonline.com/7f3a-11/v2.0" },
		"jobs alone":                    func(c *oidc.Config) { c.Grants, c.ClientID, c.AuthStyle = []string{"id_token"}, "", "" },
		"no groups":                     func(c *oidc.Config) { c.Groups = oidc.Groups{} },
		"Auth0 groups":                  func(c *oidc.Config) { c.Groups.Claim = "https://corp.example/groups" },
		"pointer":                       func(c *oidc.Config) { c.Groups.Claim = "/resource_access/registry.corp/roles" },
		"hosts": func(c *oidc.Config) {
			c.Hosts = []string{"oauth2.googleapis.com", "sso.corp.example:8443", "[fd00::1]:443"}
		},
		"client key": func(c *oidc.Config) { c.ClientKey, c.AuthStyle = "client.pem", "private_key_jwt" },
		"browser": func(c *oidc.Config) {
			c.Grants, c.Label, c.ACRValues, c.MaxAge, c.Prompt = []string{"browser"}, "Größe & Co", []string{"urn:mfa", "phr"}, time.Minute, []string{"login", "consent"}
		},
		"browser, without refresh tokens": func(c *oidc.Config) { c.Grants = []string{"browser"} },
		"secret and style":                func(c *oidc.Config) { c.ClientSecret, c.AuthStyle = secret.New("s"), "client_secret_post" },
		"offline_access":                  func(c *oidc.Config) { c.Scopes = []string{"openid", "offline_access"} },
		"one algorithm":                   func(c *oidc.Config) { c.Algorithms = []string{"EdDSA"} },
		"longest timeout":                 func(c *oidc.Config) { c.Timeout = 10 * time.Second },
	} {
		cfg := valid()
		change(&cfg)
		if found := faults(cfg); found != nil {
			t.Errorf("%s: Validate found %q, want nothing", name, found)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	tests := []struct {
		change func(*oidc.Config)
		want   string // the only fault
	}{
		{func(c *oidc.Config) { c.Issuer = "" }, `issuer: is required: the provider's issuer URL, as its discovery document has it`},
		{func(c *oidc.Config) { c.Issuer = "sso.corp.example" }, `issuer: "sso.corp.example" is not a URL of scheme, host and path alone`},
		{func(c *oidc.Config) { c.Issuer = "https://a@sso.corp.example" }, `issuer: "https://a@sso.corp.example" is not a URL of scheme, host and path alone`},
		{func(c *oidc.Config) { c.Issuer = "https://sso.corp.example?x" }, `issuer: "https://sso.corp.example?x" is not a URL of scheme, host and path alone`},
		{func(c *oidc.Config) { c.Issuer = "https://sso.corp.example#" }, `issuer: "https://sso.corp.example#" is not a URL of scheme, host and path alone`},
		{func(c *oidc.Config) { c.Issuer = "ftp://sso.corp.example" }, `issuer: "ftp://sso.corp.example" does not begin with https://`},
		{func(c *oidc.Config) { c.Issuer = "http://sso.corp.example" }, `issuer: is plain http: use https, or set insecure = true to send passwords unprotected`},
		{func(c *oidc.Config) { c.Issuer = "http://localhost.evil.example" }, `issuer: is plain http: use https, or set insecure = true to send passwords unprotected`},
		{func(c *oidc.Config) { c.Issuer = "https://sso.corp.example/.well-known/openid-configuration" }, `issuer: is the discovery document's URL: leave out /.well-known/openid-configuration`},
		{func(c *oidc.Config) { c.Issuer = "https://login.microsoftonline.com/common/v2.0" }, `issuer: accepts every tenant of Entra ID: name your own, as in https://login.microsoftonline.com/TENANT-ID/v2.0`},
		{func(c *oidc.Config) { c.Discovery = "http://dex.internal:5556/dex" }, `discovery: is plain http: use https, or set insecure = true to send passwords unprotected`},
		{func(c *oidc.Config) { c.Discovery = "https://dex.internal/.well-known/openid-configuration" }, `discovery: is the discovery document's URL: leave out /.well-known/openid-configuration`},
		{func(c *oidc.Config) { c.Discovery = "dex.internal" }, `discovery: "dex.internal" is not a URL of scheme, host and path alone`},
		{func(c *oidc.Config) { c.ClientID = "" }, `client_id: is required with the grants password, refresh_token and browser`},
		{func(c *oidc.Config) { c.AuthStyle = "basic" }, `auth_style: "basic" is not one of "client_secret_basic", "client_secret_post", "private_key_jwt", "none"`},
		{func(c *oidc.Config) { c.AuthStyle = "client_secret_basic" }, `auth_style: "client_secret_basic" needs a client_secret`},
		{func(c *oidc.Config) { c.AuthStyle = "private_key_jwt" }, `auth_style: "private_key_jwt" needs a client_key`},
		{func(c *oidc.Config) { c.ClientKey = "client.pem" }, `auth_style: "none" does not use client_key: leave out one of the two`},
		{func(c *oidc.Config) { c.ClientKey, c.ClientSecret, c.AuthStyle = "client.pem", secret.New("s"), "" }, `client_key: leave out client_key or client_secret: the client authenticates with one of them`},
		{func(c *oidc.Config) { c.Label = "Corp SSO" }, `label: is for the sign-in with a browser: add "browser" to grants, or leave it out`},
		{func(c *oidc.Config) { c.Grants, c.Label = []string{"browser"}, "Corp\u202eSSO" }, `label: cannot stand on a page: it holds a character that is not seen`},
		{func(c *oidc.Config) { c.Grants, c.Label = []string{"browser"}, strings.Repeat("ä", 61) }, `label: has more than 60 characters, and stands on a button`},
		{func(c *oidc.Config) { c.ACRValues = []string{"urn:mfa"} }, `acr_values: is for the sign-in with a browser: add "browser" to grants, or leave it out`},
		{func(c *oidc.Config) { c.Grants, c.ACRValues = []string{"browser"}, []string{"urn:mfa", "a b"} }, `acr_values[1]: "a b" is not one value without blanks`},
		{func(c *oidc.Config) { c.MaxAge = time.Hour }, `max_age: is for the sign-in with a browser: add "browser" to grants, or leave it out`},
		{func(c *oidc.Config) { c.Grants, c.MaxAge = []string{"browser"}, time.Second }, `max_age: 1s is shorter than "1m"; to have the provider ask each time, write prompt = ["login"]`},
		{func(c *oidc.Config) { c.Prompt = []string{"login"} }, `prompt: is for the sign-in with a browser: add "browser" to grants, or leave it out`},
		{func(c *oidc.Config) { c.Grants, c.Prompt = []string{"browser"}, []string{"none"} }, `prompt[0]: "none" is not one of "login", "select_account", "consent"`},
		{func(c *oidc.Config) { c.Grants, c.ClientID = []string{"browser"}, "" }, `client_id: is required with the grants password, refresh_token and browser`},
		{func(c *oidc.Config) { c.Grants, c.Scopes = []string{"browser"}, []string{"profile"} }, `scopes: must hold "openid": without it the provider does not say who logged in`},
		{func(c *oidc.Config) { c.ClientSecret = secret.New("s") }, `auth_style: "none" sends no client_secret: leave out one of the two`},
		{func(c *oidc.Config) { c.Grants = nil }, `grants: is required: name at least one of "password", "browser", "refresh_token", "id_token"`},
		{func(c *oidc.Config) { c.Grants = []string{"id_token", "refresh"} }, `grants[1]: "refresh" is not one of "password", "browser", "refresh_token", "id_token"`},
		{func(c *oidc.Config) { c.Audience = nil }, `audience: is required with the grant id_token: the aud of the tokens to accept`},
		{func(c *oidc.Config) { c.Audience = []string{""} }, `audience: an empty name is not an audience`},
		{func(c *oidc.Config) { c.Scopes = []string{"profile"} }, `scopes: must hold "openid": without it the provider does not say who logged in`},
		{func(c *oidc.Config) {
			c.Scopes, c.Grants = []string{"openid", "offline_access"}, []string{"password"}
		}, `scopes: leave out "offline_access", or add "refresh_token" to grants: without it no refresh token is used`},
		{func(c *oidc.Config) { c.Scopes = []string{"openid", "profile email"} }, `scopes[1]: "profile email" is not one scope`},
		{func(c *oidc.Config) { c.Groups.Claim = " " }, `groups.claim: name a claim`},
		{func(c *oidc.Config) { c.Users.Claim = "a..b" }, `users.claim: "a..b" has an empty step between its dots`},
		{func(c *oidc.Config) { c.Groups.Claim = "/a~2" }, `groups.claim: "/a~2" is not a JSON pointer: "~" is allowed only in "~0" and "~1"`},
		{func(c *oidc.Config) { c.Groups.Claim = "" }, `groups.claim: is required with the other keys of groups`},
		{func(c *oidc.Config) { c.Groups.Rename = map[string]string{"admins": "anonymous"} }, `groups.rename: "admins" cannot be called "anonymous", which is shorepass's own`},
		{func(c *oidc.Config) { c.Subject = []string{} }, `subject: name the claims that never change for a person, such as ["sub"]`},
		{func(c *oidc.Config) { c.Claims = []string{""} }, `claims: an empty name is not a claim`},
		{func(c *oidc.Config) { c.Userinfo = "yes" }, `userinfo: "yes" is not one of "auto", "always", "never"`},
		{func(c *oidc.Config) { c.Algorithms = []string{"RS256", "HS256"} }, `algorithms[1]: "HS256" is not one of "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"`},
		{func(c *oidc.Config) { c.Algorithms = []string{"none"} }, `algorithms[0]: "none" is not one of "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"`},
		{func(c *oidc.Config) { c.Algorithms = []string{} }, `algorithms: an empty list accepts no token; leave the key out for the default`},
		{func(c *oidc.Config) { c.BackchannelLogout = "all" }, `backchannel_logout: is for the sign-in with a browser: add "browser" to grants, or leave it out`},
		{func(c *oidc.Config) { c.BackchannelLogout = "offline" }, `backchannel_logout: "offline" is not one of "browser", "all"`},
		{func(c *oidc.Config) { c.SignIns = "person" }, `sign_ins: "person" is not one of "login", "one"`},
		{func(c *oidc.Config) { c.Revoke = "always" }, `revoke: "always" is not one of "sign_in", "last", "never"`},
		{func(c *oidc.Config) { c.Timeout = time.Minute }, `timeout: 1m is not between "0s" and "10s", the time that a whole login has`},
		{func(c *oidc.Config) { c.MaxTokenAge = -time.Hour }, `max_token_age: -1h0m0s is negative; the shortest that works is that of the tokens themselves`},
		{func(c *oidc.Config) { c.Reauthenticate = 30 * time.Second }, `reauthenticate: 30s is shorter than "1m"; leave it out for no limit`},
		{func(c *oidc.Config) { c.Reauthenticate = -time.Hour }, `reauthenticate: -1h is shorter than "1m"; leave it out for no limit`},
		{func(c *oidc.Config) { c.Hosts = []string{"https://x.example"} }, `hosts[0]: "https://x.example" is not a host: write "sso.corp.example" or "sso.corp.example:8443"`},
		{func(c *oidc.Config) { c.Hosts = []string{""} }, `hosts[0]: "" is not a host: write "sso.corp.example" or "sso.corp.example:8443"`},
		{func(c *oidc.Config) { c.TLS.Key = "key.pem" }, `tls: certificate and key go together; name both or neither`},
	}
	for _, tt := range tests {
		cfg := valid()
		tt.change(&cfg)
		if diff := cmp.Diff([]string{tt.want}, faults(cfg)); diff != "" {
			t.Errorf("Validate (-want +got):\n%s", diff)
		}
	}
}

// TestWithDefaults: a default applies only to a missing value.
func TestWithDefaults(t *testing.T) {
	got := oidc.Config{}.WithDefaults()
	if got.Users.Claim != "preferred_username" || got.Userinfo != "auto" || got.Timeout != 3*time.Second || got.MaxTokenAge != 24*time.Hour || strings.Join(got.Subject, " ") != "sub" || got.Grants != nil || got.Audience != nil {
		t.Errorf("defaults = %+v", got)
	}
	own := oidc.Config{Config: providers.Config{}.WithDefaults(), Scopes: []string{"openid"}, Users: oidc.Users{Claim: "email"}, Subject: []string{"oid"}, Userinfo: "never", Algorithms: []string{"EdDSA"}, MaxTokenAge: time.Hour, Timeout: time.Second, SignIns: "one", BackchannelLogout: "all", Revoke: "last"}
	if diff := cmp.Diff(own, own.WithDefaults(), cmp.AllowUnexported(secret.Text{})); diff != "" {
		t.Errorf("WithDefaults changed a configured value:\n%s", diff)
	}
	if text := fmt.Sprintf("%v %+v", oidc.Config{ClientSecret: secret.New("s3cret")}, oidc.Config{ClientSecret: secret.New("s3cret")}); strings.Contains(text, "s3cret") {
		t.Error("a printed Config holds the client secret")
	}
}

// TestLockoutAdvice: what check --live says about the provider's account lockout.
func TestLockoutAdvice(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://login.microsoftonline.com/7f3a-11/v2.0": "wrong_passwords = 8\n  wrong_password_window = \"2m\"",
		"https://sso.corp.example/realms/corp":           "wrong_passwords = T-1, at most 8",
		"https://login.microsoftonline.com.evil.example": "wrong_passwords = T-1, at most 8",
	} {
		if got := oidc.LockoutAdvice(oidc.Config{Issuer: issuer}).String(); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", issuer, got, want)
		}
	}
}
