package oidc_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// list is a claim with several values.
type list = []any

// claims are those of an ID token or of a userinfo answer.
type claims = map[string]any

// TestProviderClaims: an issuer whose tokens and userinfo have the shapes of real
// providers, with the configuration of docs/providers.md.
func TestProviderClaims(t *testing.T) {
	const zitadelRoles = "urn:zitadel:iam:org:project:roles"
	groups := func(claim string) oidc.Groups { return oidc.Groups{Claim: claim} }
	only := func(claim string, globs ...string) oidc.Groups {
		return oidc.Groups{Claim: claim, GroupNames: providers.GroupNames{Only: globs}}
	}
	separated := oidc.Groups{Claim: "groups", GroupClaim: providers.GroupClaim{Separator: ";"}}
	optional := oidc.Groups{Claim: "groups", Optional: true}
	i := oidctest.NewIssuer(t)
	for _, tt := range []struct {
		provider string
		token    claims
		userinfo claims // nil for no such endpoint
		user     string // users.claim
		groups   oidc.Groups
		want     []string
		unsure   string
		refused  string // in the error
	}{
		{provider: "Keycloak, as it comes (D11)", token: claims{"preferred_username": "alice"}, userinfo: claims{"preferred_username": "alice"}, groups: groups("realm_access.roles"), refused: `"realm_access.roles" is missing`},
		{provider: "Keycloak, realm roles in the ID token", token: claims{"preferred_username": "alice", "realm_access": claims{"roles": list{"devs", "offline_access"}}}, groups: only("realm_access.roles", "devs"), want: []string{"devs"}},
		{provider: "Keycloak, realm roles at userinfo", token: claims{"preferred_username": "alice"}, userinfo: claims{"realm_access": claims{"roles": list{"devs"}}}, groups: groups("realm_access.roles"), want: []string{"devs"}},
		{provider: "Keycloak, group membership with the full path (D10)", token: claims{"preferred_username": "alice", "groups": list{"/team-blue", "/dev/team"}}, groups: oidc.Groups{Claim: "groups", GroupNames: providers.GroupNames{Rename: map[string]string{"/*": "*"}}}, want: []string{"dev/team", "team-blue"}},
		{provider: "Keycloak, client roles", token: claims{"preferred_username": "alice", "resource_access": claims{"registry.corp": claims{"roles": list{"push"}}}}, groups: groups("/resource_access/registry.corp/roles"), want: []string{"push"}},

		{provider: "Dex", token: claims{"preferred_username": "alice", "email": "alice@corp.example", "email_verified": true, "groups": list{"devs", "ops"}}, groups: groups("groups"), want: []string{"devs", "ops"}},
		{provider: "Dex, without the scope groups", token: claims{"preferred_username": "alice"}, userinfo: claims{"preferred_username": "alice"}, groups: groups("groups"), refused: `"groups" is missing`},
		{provider: "Dex, a connector without user names", token: claims{"email": "alice@corp.example", "email_verified": true, "groups": list{"devs"}}, user: "email", groups: groups("groups"), want: []string{"devs"}},

		{provider: "LemonLDAP::NG, several values in one text", token: claims{"groups": "devs; ops"}, user: "sub", groups: groups("groups"), unsure: "*"},
		{provider: "LemonLDAP::NG, several values, with the separator", token: claims{"groups": "devs; ops"}, user: "sub", groups: separated, want: []string{"devs", "ops"}},
		{provider: "LemonLDAP::NG, one value", token: claims{"groups": "devs"}, user: "sub", groups: separated, want: []string{"devs"}},
		{provider: "LemonLDAP::NG, as a list", token: claims{"groups": list{"devs", "ops"}}, user: "sub", groups: groups("groups"), want: []string{"devs", "ops"}},
		{provider: "LemonLDAP::NG, at userinfo alone", token: claims{}, userinfo: claims{"preferred_username": "alice", "groups": list{"devs"}}, groups: groups("groups"), want: []string{"devs"}},

		{provider: "Okta, the org server's thin ID token", token: claims{}, userinfo: claims{"preferred_username": "alice@corp.example", "groups": list{"Everyone", "IT"}}, groups: only("groups", "IT"), want: []string{"IT"}},
		{provider: "Auth0, a namespaced claim", token: claims{"email": "alice@corp.example", "email_verified": true, "https://corp.example/roles": list{"devs"}}, user: "email", groups: groups("https://corp.example/roles"), want: []string{"devs"}},
		{provider: "Google, which has no groups", token: claims{"email": "alice@corp.example", "email_verified": true, "hd": "corp.example"}, user: "email"},

		{provider: "Cognito", token: claims{"cognito:username": "alice", "cognito:groups": list{"devs"}, "token_use": "id"}, user: "cognito:username", groups: groups("cognito:groups"), want: []string{"devs"}},
		{provider: "Cognito, a mapped attribute", token: claims{"cognito:username": "alice", "custom:groups": "[devs, ops]", "token_use": "id"}, user: "cognito:username", groups: groups("custom:groups"), unsure: "*"},
		{provider: "the UAA, with the scope roles", token: claims{"user_name": "alice", "roles": list{"devs"}}, user: "user_name", groups: groups("roles"), want: []string{"devs"}},

		{provider: "AD FS, one group", token: claims{"upn": "alice@corp.example", "group": "devs"}, user: "upn", groups: groups("group"), want: []string{"devs"}},
		{provider: "AD FS, several groups", token: claims{"upn": "alice@corp.example", "group": list{"devs", "Domain Users"}}, user: "upn", groups: groups("group"), want: []string{"Domain Users", "devs"}},
		{provider: "AD FS, one group with a blank", token: claims{"upn": "alice@corp.example", "group": "Domain Users"}, user: "upn", groups: groups("group"), unsure: "*"},
		{provider: "AD FS, one group with a blank that only names", token: claims{"upn": "alice@corp.example", "group": "Domain Users"}, user: "upn", groups: only("group", "Domain Users", "devs"), want: []string{"Domain Users"}},
		{provider: "AD FS, whose userinfo has the subject alone", token: claims{"upn": "alice@corp.example"}, userinfo: claims{}, user: "upn", groups: groups("group"), refused: `"group" is missing`},

		{provider: "Zitadel, roles (D1)", token: claims{"preferred_username": "alice@corp.example", zitadelRoles: claims{"devs": claims{"2081": "corp.example"}, "ops": claims{"2081": "corp.example", "2082": "partner.example"}}}, groups: groups(zitadelRoles), want: []string{"devs", "ops"}},
		{provider: "Zitadel, roles in a list, as its documentation has them", token: claims{"preferred_username": "alice@corp.example", zitadelRoles: list{claims{"devs": claims{"2081": "corp.example"}}}}, groups: groups(zitadelRoles), unsure: "*"},
		{provider: "Zitadel, no roles", token: claims{"preferred_username": "alice@corp.example"}, userinfo: claims{}, groups: groups(zitadelRoles), refused: "roles"},

		{provider: "Entra ID", token: claims{"preferred_username": "alice@corp.example", "oid": guid(10), "tid": guid(11), "groups": list{guid(1)}}, groups: groups("groups"), want: []string{guid(1)}},
		{provider: "Entra ID, too many groups, without Graph", token: claims{"preferred_username": "alice@corp.example", "_claim_names": claims{"groups": "src1"}, "_claim_sources": claims{"src1": claims{"endpoint": "https://graph.windows.net/"}}}, groups: groups("groups"), unsure: "*"},
		{provider: "Entra ID, no groups", token: claims{"preferred_username": "alice@corp.example"}, groups: optional},
	} {
		t.Run(tt.provider, func(t *testing.T) {
			i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
				serveJSON(claims{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(maps.Clone(tt.token))})(w, r)
			})
			i.Replace(oidctest.DiscoveryPath, nil)
			if tt.userinfo == nil {
				i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(claims{"userinfo_endpoint": ""})))
			} else {
				answer := claims{"sub": "subject-1"}
				maps.Copy(answer, tt.userinfo)
				i.Replace(oidctest.UserinfoPath, serveJSON(answer))
			}
			p := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups = tt.user, tt.groups })
			id, err := authenticate(t.Context(), p, password("alice", "pw"))
			switch {
			case tt.refused != "":
				if providers.ReasonOf(err) != providers.RefusedByConfig || !strings.Contains(err.Error(), tt.refused) {
					t.Errorf("Authenticate = %v, %v, want RefusedByConfig with %q", id, err, tt.refused)
				}
			case err != nil:
				t.Error(err)
			case !cmp.Equal(id.Groups, tt.want) || strings.Join(id.Unsure, " ") != tt.unsure:
				t.Errorf("groups %q, unsure %q, want %q and %q", id.Groups, id.Unsure, tt.want, tt.unsure)
			}
		})
	}
}

// TestProviderAnswers: what an answer of a real provider's token endpoint means, for a
// password and for a refresh. TestTokenErrorResponses has the rule.
func TestProviderAnswers(t *testing.T) {
	const (
		wrong    = "refused: wrong password"
		disabled = "refused: disabled"
		gone     = "gone"
		maybe    = "unavailable, may be counted"
		notOurs  = "unavailable, not counted"
	)
	i := oidctest.NewIssuer(t)
	p := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "" })
	oidc.WaitForProbes(p)
	for _, tt := range []struct {
		provider  string
		status    int
		challenge string
		body      string
		password  string // "" where the answer is to another grant
		refresh   string
	}{
		{"Keycloak, wrong password", 401, "", `{"error":"invalid_grant","error_description":"Invalid user credentials"}`, wrong, ""},
		{"Keycloak, disabled account", 400, "", `{"error":"invalid_grant","error_description":"Account disabled"}`, wrong, ""},
		{"Keycloak, ended or disabled", 400, "", `{"error":"invalid_grant","error_description":"Token is not active"}`, "", gone},
		{"Keycloak, Direct access grants off", 400, "", `{"error":"unauthorized_client","error_description":"Client not allowed for direct access grants"}`, notOurs, ""},
		{"Dex, wrong password", 401, "", `{"error":"access_denied","error_description":"Invalid username or password"}`, wrong, ""},
		{"Dex, a refresh token that was used (D13)", 400, "", `{"error":"invalid_request","error_description":"Refresh token is invalid or has already been claimed by another client."}`, "", gone},
		{"Dex, a person who was deleted behind it (D13)", 500, "", `{"error":"server_error"}`, "", maybe},
		{"LemonLDAP::NG, wrong password, or its directory is down (B10)", 400, "", `{"error":"invalid_grant","error_description":"Invalid credentials"}`, wrong, ""},
		{"LemonLDAP::NG, ended session", 400, "", `{"error":"invalid_request"}`, "", gone},
		{"the UAA, wrong password (B11)", 401, "", `{"error":"unauthorized","error_description":"Bad credentials"}`, wrong, ""},
		{"the UAA, locked account", 401, "", `{"error":"unauthorized","error_description":"Your account has been locked because of too many failed attempts to login."}`, wrong, ""},
		{"the UAA, revoked refresh token", 401, "", `{"error":"invalid_token","error_description":"The token expired, was revoked, or the token ID is incorrect."}`, "", gone},
		{"the UAA, wrong client secret", 401, `Basic realm="UAA/client", error="unauthorized", error_description="Bad credentials"`, `{"error":"unauthorized","error_description":"Bad credentials"}`, maybe, maybe},
		{"Cognito, disabled or signed out", 400, "", `{"error":"invalid_grant"}`, "", gone},
		{"Cognito, wrong client secret", 400, "", `{"error":"invalid_client"}`, "", notOurs},
		{"AD FS, wrong password", 400, "", `{"error":"invalid_grant","error_description":"MSIS9659: Invalid 'username' or 'password'."}`, wrong, ""},
		{"AD FS, expired refresh token", 400, "", `{"error":"invalid_grant","error_description":"MSIS9615: The refresh token received in 'refresh_token' parameter has expired."}`, "", gone},
		{"Zitadel, used or revoked refresh token", 400, "", `{"error":"invalid_grant","error_description":"Errors.OIDCSession.RefreshTokenInvalid"}`, "", gone},
		{"Zitadel, no password grant", 400, "", `{"error":"unsupported_grant_type","error_description":"password not supported"}`, notOurs, ""},
		{"Google, revoked", 400, "", `{"error":"invalid_grant","error_description":"Token has been expired or revoked."}`, "", gone},
		{"Okta, rate limit", 429, "", `{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit due to too many requests."}`, maybe, maybe},
		{"Okta, wrong password", 400, "", `{"error":"invalid_grant","error_description":"The credentials provided were invalid."}`, wrong, ""},
		{"Auth0, wrong password", 403, "", `{"error":"invalid_grant","error_description":"Wrong email or password."}`, wrong, ""},
		{"Auth0, a second factor", 403, "", `{"error":"mfa_required","error_description":"Multifactor authentication required","mfa_token":"x"}`, disabled, ""},
		{"Auth0, blocked", 401, "", `{"error":"unauthorized","error_description":"user is blocked"}`, wrong, gone},
		{"Entra ID, disabled", 400, "", `{"error":"invalid_grant","error_codes":[50057]}`, disabled, gone},
		{"Entra ID, a second factor", 400, "", `{"error":"invalid_grant","error_codes":[50076]}`, disabled, gone},
	} {
		t.Run(tt.provider, func(t *testing.T) {
			i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if tt.challenge != "" {
					w.Header().Set("WWW-Authenticate", tt.challenge)
				}
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			})
			_, err := authenticate(t.Context(), p, password("alice", "pw"))
			if got := outcome(err); tt.password != "" && got != tt.password {
				t.Errorf("password: %s (%v), want %s", got, err, tt.password)
			}
			_, err = p.Revalidate(t.Context(), &providers.Identity{RefreshToken: secret.New("r")})
			if got := outcome(err); tt.refresh != "" && got != tt.refresh {
				t.Errorf("refresh: %s (%v), want %s", got, err, tt.refresh)
			}
		})
	}
}
