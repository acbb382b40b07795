package oidc

import (
	"slices"
	"time"

	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
	"shorepass/providers"
)

// Config is a [[provider]] table of kind "oidc".
type Config struct {
	providers.Config

	// Issuer is the provider's issuer URL, byte for byte as it is in the
	// iss claim of its tokens, a trailing slash included or not. Discovery
	// starts here. Example: "https://sso.corp.example/realms/corp".
	Issuer string `toml:"issuer"`

	// ClientID is the client that is registered for shorepass. Required with
	// the grants password and refresh_token.
	ClientID string `toml:"client_id"`

	// ClientSecret is that client's secret. Optional: left out, the client is
	// a public one, or is proved by tls.certificate (RFC 8705).
	ClientSecret secret.Text `toml:"client_secret"`

	// AuthStyle is how the client secret is sent to the token endpoint:
	// "client_secret_basic", "client_secret_post" or "none". Optional: left
	// out, the provider's discovery says it. It is never found out by trying,
	// since each try is a failed login at the provider.
	AuthStyle string `toml:"auth_style"`

	// Grants are the ways to log in, each asked for by name: "password" (the
	// corporate password, which cannot carry a second factor),
	// "refresh_token" (the provider's own refresh token as the password, and
	// sessions that outlive a login), "id_token" (an ID token as the password,
	// for CI jobs and pods). Required.
	Grants []string `toml:"grants"`

	// Scopes are asked for at a login. "offline_access" is added by itself
	// when somebody asks for an offline token and grants has "refresh_token".
	// Default ["openid", "profile", "email"].
	Scopes []string `toml:"scopes"`

	// Audience is what an ID token that comes as a password must be made for:
	// its aud claim has one of these. Required with the grant id_token,
	// and best a name that no other service goes by.
	Audience []string `toml:"audience"`

	// AuthorizedParties are clients, besides client_id and audience, that the
	// azp claim of an ID token may name. It may also be equal to sub, as in the
	// tokens of Google's workloads. Optional.
	AuthorizedParties []string `toml:"authorized_parties"`

	// MaxTokenAge is how long after it was issued (iat) an ID token is good as
	// a password, whatever its exp says. One without iat must expire within it.
	// Default "24h".
	MaxTokenAge time.Duration `toml:"max_token_age"`

	// Users says what a person is called.
	Users Users `toml:"users"`

	// Groups says which groups a person is in.
	Groups Groups `toml:"groups"`

	// Claims are the names of further claims that rules may look at as
	// claims.NAME. Optional.
	Claims []string `toml:"claims"`

	// Subject is the claim, or the claims together, by which a person is
	// known for good. Default ["sub"]; for Entra ID ["tid", "oid"].
	Subject []string `toml:"subject"`

	// IgnoreCase says that the provider tells no upper from lower case: user
	// names are made lower case, and rules compare names without case. Default
	// false.
	IgnoreCase bool `toml:"ignore_case"`

	// Userinfo says when the userinfo endpoint is asked: "auto" (when there is
	// no ID token, or it lacks a claim that is configured), "always" or
	// "never". Default "auto".
	Userinfo string `toml:"userinfo"`

	// Algorithms may sign ID tokens. Default: RS256, RS384, RS512, ES256,
	// ES384, ES512, PS256, PS384, PS512 and EdDSA. "none" and the HS family
	// are never accepted.
	Algorithms []string `toml:"algorithms"`

	// Hosts are hosts, with a port where it is not the scheme's own, that the
	// provider's endpoints may have besides the issuer's host. Passwords and
	// keys go to no other. Example for Google: ["oauth2.googleapis.com",
	// "www.googleapis.com", "openidconnect.googleapis.com"]. Optional.
	Hosts []string `toml:"hosts"`

	// Insecure allows an issuer of plain http that is not on this machine:
	// passwords then cross the network unprotected. Default false.
	Insecure bool `toml:"insecure"`

	// SignIns says how many refresh tokens the provider keeps for a person and
	// client: "login" (one for each login), or "one" (the newest in the place of
	// the last, as Dex and Google do; a person's sessions then share it). With
	// "login" at a provider that keeps one, each docker login ends the sessions of
	// the one before. Default "login".
	SignIns string `toml:"sign_ins"`

	// Revoke says when the provider is told that a refresh token will not be used
	// again (RFC 7009): "sign_in" (when the last session ends that it stands
	// behind), "last" (when the person's last session ends: for a provider that
	// answers one revocation by dropping all tokens of the person, as Keycloak
	// before 26.1 does), or "never". Default "sign_in".
	Revoke string `toml:"revoke"`

	// TLS is for connecting to the provider: ca for its certificate,
	// certificate and key where it wants one of the client.
	TLS tlsconf.Config `toml:"tls"`

	// Timeout is the limit of one request to the provider, at most "10s".
	// Default "3s".
	Timeout time.Duration `toml:"timeout"`
}

// Users is the users table of an oidc provider.
type Users struct {
	// Claim is the claim that holds the user name, as a path (see
	// [Groups.Claim]). Whoever lacks it is rejected; there is no fallback.
	// "email" counts only together with email_verified. Default
	// "preferred_username".
	Claim string `toml:"claim"`
}

// Groups is the groups table of an oidc provider.
type Groups struct {
	// Claim is the claim that holds the groups: a name, or names joined by dots
	// ("realm_access.roles"), or a JSON pointer
	// ("/resource_access/registry.corp/roles"). A name with "://" in it is
	// taken as it stands. It is a list of texts or numbers, one of them alone, a
	// list of objects, or an object whose keys are the groups. While the
	// provider does not tell all of them (too many for a token, an entry that
	// is no name), rules that deny any group hold for that person. Optional:
	// left out, no person has groups.
	Claim string `toml:"claim"`

	// Optional lets in people who have no such claim, as members of no group.
	// Default false: whoever lacks it is rejected, since a rule that denies a
	// group would not find its members.
	Optional bool `toml:"optional"`

	providers.GroupClaim
	providers.GroupNames
}

// Grants that Config.Grants can name.
const (
	grantPassword = "password"
	grantRefresh  = "refresh_token"
	grantIDToken  = "id_token"
)

// What Config.SignIns can say.
const (
	signInsLogin = "login"
	signInsOne   = "one"
)

// Client authentication methods that Config.AuthStyle can name (OpenID Connect
// Core 1.0, section 9).
const (
	authBasic = "client_secret_basic"
	authPost  = "client_secret_post"
	authNone  = "none"
)

// asymmetric are the signing algorithms that can be accepted at all (RFC 7518,
// section 3.1; RFC 8037). A symmetric one would make the client's secret, or a
// public key, good for signing.
var asymmetricAlgorithms = []string{
	"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA",
}

// maxTimeout is what the whole chain has: docker gives up after 15 seconds.
const maxTimeout = 10 * time.Second

// ClaimNames returns the names of the claims that a person has for rules.
func (c Config) ClaimNames() []string { return c.Claims }

// FoldsCase reports whether case makes no difference in names.
func (c Config) FoldsCase() bool { return c.IgnoreCase }

// Methods returns the methods by which people log in.
func (c Config) Methods() []providers.Method {
	var all []providers.Method
	for _, grant := range c.Grants {
		switch grant {
		case grantPassword:
			all = append(all, providers.MethodPassword)
		case grantRefresh:
			all = append(all, providers.MethodRefresh)
		case grantIDToken:
			all = append(all, providers.MethodIDToken)
		}
	}
	return all
}

// ReadsGroups reports whether people have groups at all.
func (c Config) ReadsGroups() bool { return c.Groups.Claim != "" }

// GroupNames returns which names groups can have, before the prefix.
func (c Config) GroupNames() providers.GroupNames { return c.Groups.GroupNames }

// WithDefaults returns a copy in which what was left out has its default, but
// for the keys of [providers.Config].
func (c Config) WithDefaults() Config {
	if c.Scopes == nil {
		c.Scopes = []string{"openid", "profile", "email"}
	}
	if c.Users.Claim == "" {
		c.Users.Claim = "preferred_username"
	}
	if c.Subject == nil {
		c.Subject = []string{"sub"}
	}
	if c.Userinfo == "" {
		c.Userinfo = "auto"
	}
	if c.Algorithms == nil {
		c.Algorithms = slices.Clone(asymmetricAlgorithms)
	}
	if c.MaxTokenAge == 0 {
		c.MaxTokenAge = 24 * time.Hour
	}
	if c.SignIns == "" {
		c.SignIns = signInsLogin
	}
	if c.Revoke == "" {
		c.Revoke = string(providers.RevokeSignIn)
	}
	if c.Timeout == 0 {
		c.Timeout = 3 * time.Second
	}
	return c
}

// grants reports whether a grant was asked for by name.
func (c Config) grants(grant string) bool { return slices.Contains(c.Grants, grant) }
