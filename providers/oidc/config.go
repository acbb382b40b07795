package oidc

import (
	"slices"
	"strings"
	"time"

	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
	"shorepass/providers"
)

// Config is a [[provider]] table of kind "oidc".
type Config struct {
	providers.Config

	// Issuer is the provider's issuer URL, byte for byte as in the iss claim of
	// its tokens, with or without a trailing slash. Discovery starts here.
	// Example: "https://sso.corp.example/realms/corp".
	Issuer string `toml:"issuer"`

	// Discovery is the URL below which the discovery document is, if it is not
	// the issuer: an address inside the network, say. The document must name the
	// issuer, and its endpoints may be on either host. Example:
	// "https://dex.internal:5556/dex". Default: the issuer.
	Discovery string `toml:"discovery"`

	// ClientID is the ID of shorepass's client at the provider. Required with
	// the grants password, refresh_token and browser.
	ClientID string `toml:"client_id"`

	// ClientSecret is that client's secret. Optional: without it the client is
	// public, or authenticates with client_key or tls.certificate (RFC 8705).
	ClientSecret secret.Text `toml:"client_secret"`

	// ClientKey is a PEM file with that client's private key: RSA, EC or Ed25519.
	// With it the client authenticates by a JWT that it signs (private_key_jwt, RFC
	// 7523), and needs no secret. "shorepass check --live" prints the public key to
	// register at the provider, whose key ID is its thumbprint (RFC 7638). If the
	// file has a certificate too, the JWT names the key by that (x5t#S256), as Entra
	// ID requires. Optional.
	ClientKey string `toml:"client_key" path:"read"`

	// AuthStyle is how the client authenticates at the token endpoint:
	// "client_secret_basic", "client_secret_post", "private_key_jwt" or "none".
	// Optional: the default is what the provider's discovery document says, or
	// "private_key_jwt" with client_key. It is never found by trial, because each
	// attempt would be a failed login at the provider.
	AuthStyle string `toml:"auth_style"`

	// Grants are the ways to log in: "password" (the corporate password,
	// without a second factor), "browser" (the person signs in at the provider
	// with a browser, with whatever factors it asks for), "refresh_token" (the
	// provider's refresh token as the password; it also lets sessions be
	// revalidated), "id_token" (an ID token as the password, for CI jobs and
	// pods). Required.
	Grants []string `toml:"grants"`

	// Scopes are requested at a login. "offline_access" is requested when the
	// client asks for an offline token, and at a sign-in with a browser, where
	// grants has "refresh_token", if the provider's scopes_supported has it or is
	// missing. Write it here for a provider that has it but does not list it.
	// Default ["openid", "profile", "email"].
	Scopes []string `toml:"scopes"`

	// Label is what the sign-in page calls the provider. Example: "Corp SSO".
	// Default: name.
	Label string `toml:"label"`

	// ACRValues are the authentication context classes that a sign-in with a
	// browser asks for, the preferred one first (acr_values). A provider need not
	// heed them: a rule that demands one reads auth.acr. Optional.
	ACRValues []string `toml:"acr_values"`

	// MaxAge is how long ago a person may have authenticated at the provider when
	// a sign-in with a browser begins (max_age): after that the provider asks for
	// password and factors again, although the person has a session there. A
	// sign-in whose auth_time is older is refused. At least "1m". Default: what
	// the page needs.
	MaxAge time.Duration `toml:"max_age"`

	// Prompt is what the provider is to ask for at each sign-in with a browser:
	// "login", "select_account" or "consent", or several of them. Optional: the
	// provider decides.
	Prompt []string `toml:"prompt"`

	// Audience are the accepted audiences of an ID token as the password: its
	// aud claim must contain one of them. Required with the grant id_token.
	// Choose a name that no other service uses.
	Audience []string `toml:"audience"`

	// AuthorizedParties are clients that the azp claim of an ID token may name,
	// in addition to client_id and audience. In an ID token as the password,
	// azp may also equal sub, as in Google's workload tokens. Optional.
	AuthorizedParties []string `toml:"authorized_parties"`

	// MaxTokenAge is how long an ID token is valid as a password after it was
	// issued (iat), whatever its exp says. A token without iat must expire
	// within it. Default "24h".
	MaxTokenAge time.Duration `toml:"max_token_age"`

	// Users says where the user name is.
	Users Users `toml:"users"`

	// Groups says where a person's groups are.
	Groups Groups `toml:"groups"`

	// Claims are the names of further claims, which rules read as claims.NAME.
	// Optional.
	Claims []string `toml:"claims"`

	// Subject is the claim that identifies a person permanently, or several
	// claims that do so together. Default ["sub"]; for Entra ID ["tid", "oid"].
	Subject []string `toml:"subject"`

	// IgnoreCase makes user names lower case, and rules compare names without
	// case. Set it if the provider ignores case. Default false.
	IgnoreCase bool `toml:"ignore_case"`

	// Userinfo is when the userinfo endpoint is requested: "auto" (if there is
	// no ID token, or if it lacks a configured claim), "always" or "never". The
	// answer may be JSON or a signed JWT, but not an encrypted one. Default "auto".
	Userinfo string `toml:"userinfo"`

	// Algorithms are the accepted signature algorithms of ID tokens. Default:
	// RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512 and EdDSA.
	// "none" and the HS family are never accepted.
	Algorithms []string `toml:"algorithms"`

	// Hosts are further hosts of the provider's endpoints, with the port if it
	// is not the default one. Passwords are sent to these hosts and those of
	// issuer and discovery only, and keys are fetched from them only. Example for Google:
	// ["oauth2.googleapis.com", "www.googleapis.com",
	// "openidconnect.googleapis.com"]. Optional.
	Hosts []string `toml:"hosts"`

	// Insecure allows plain http for an issuer or a discovery on another machine:
	// passwords then cross the network unencrypted. Default false.
	Insecure bool `toml:"insecure"`

	// SignIns is how many refresh tokens the provider stores for a person and
	// client: "login" (one for each login), or "one" (a login replaces the last
	// one, as at Dex and Google; a person's sessions then share it). With
	// "login" at a provider that stores one, each docker login ends the
	// sessions of the previous one. Default "login".
	SignIns string `toml:"sign_ins"`

	// BackchannelLogout is what ends when the provider reports that a person logged
	// out there (OpenID Connect Back-Channel Logout 1.0): "browser" (the sessions on
	// the sign-in page), or "all" (refresh tokens and personal access tokens of these
	// sign-ins too, as if each logout said so). Default "browser".
	BackchannelLogout string `toml:"backchannel_logout"`

	// Revoke is when a refresh token is revoked at the provider (RFC 7009):
	// "sign_in" (when the last session of its sign-in ends), "last" (when the
	// person's last session ends, for a provider that drops all tokens of the
	// person at one revocation, as Keycloak before 26.1 does), or "never".
	// Default "sign_in".
	Revoke string `toml:"revoke"`

	// Reauthenticate is how long after a person signed in at the provider (auth_time)
	// sessions end, so that docker login asks for the password again although the
	// provider still accepts refresh tokens. For a provider that refreshes without
	// looking at the account, as LemonLDAP::NG does where the token belongs to its
	// own session: then a leaver keeps access for so long, and no longer. A token as
	// the password whose provider sends no auth_time counts as a sign-in now. At
	// least "1m". Default: no limit.
	Reauthenticate time.Duration `toml:"reauthenticate"`

	// TLS is for connections to the provider: ca for its certificate,
	// certificate and key if it requires a client certificate. With one, requests
	// go to the provider's mtls_endpoint_aliases (RFC 8705, section 5).
	TLS tlsconf.Config `toml:"tls"`

	// Timeout is the timeout of one request to the provider, at most "10s".
	// Default "3s".
	Timeout time.Duration `toml:"timeout"`
}

// Users is the users table of an oidc provider.
type Users struct {
	// Claim is the path of the claim that holds the user name (see
	// [Groups.Claim]). A person without it is rejected; there is no fallback.
	// "email" counts only together with email_verified. Default
	// "preferred_username".
	Claim string `toml:"claim"`
}

// Groups is the groups table of an oidc provider.
type Groups struct {
	// Claim is the path of the claim that holds the groups: a name, or names
	// joined by dots ("realm_access.roles"), or a JSON pointer
	// ("/resource_access/registry.corp/roles"). A name that contains "://" is
	// one name, dots or not. The value is a list of strings or numbers, a single
	// string or number, a list of objects, or an object whose keys are the
	// groups. If the provider does not send all groups (too many for a token,
	// an entry that is not a name), deny rules for any group apply to that
	// person. Optional: without it no person has groups.
	Claim string `toml:"claim"`

	// Optional accepts a person without that claim, as a member of no group.
	// Default false: such a person is rejected, because deny rules for a group
	// would miss its members.
	Optional bool `toml:"optional"`

	// Graph is the URL of Microsoft Graph, for Entra ID: shorepass reads there the
	// groups of people whose ID token lacks them (more than 200). It needs
	// client_secret, and Microsoft Graph's application permissions
	// GroupMember.Read.All and User.Read.All for the client. Without it, deny rules
	// for any group apply to these people. With it, claim is "groups". Example:
	// "https://graph.microsoft.com". Optional.
	Graph string `toml:"graph"`

	// By is what rules call the groups of Entra ID, where graph is set: "id" (their
	// object IDs, to which rename can give names) or "name" (their display names;
	// every login then asks graph). Display names are not unique: by default each
	// person in Entra ID may create a group with any name. A name that several
	// groups have counts for deny rules only; a name that no other group has
	// belongs to the first person who takes it. Default "id".
	By string `toml:"by"`

	providers.GroupClaim
	providers.GroupNames
}

// Values of Config.Grants.
const (
	grantPassword = "password"
	grantRefresh  = "refresh_token"
	grantIDToken  = "id_token"
	grantBrowser  = "browser"
)

// Values of Config.SignIns.
const (
	signInsLogin = "login"
	signInsOne   = "one"
)

// Values of Config.BackchannelLogout.
const (
	logoutBrowser = "browser"
	logoutAll     = "all"
)

// Values of Config.AuthStyle: client authentication methods (OpenID Connect Core
// 1.0, section 9).
const (
	authBasic = "client_secret_basic"
	authPost  = "client_secret_post"
	authKey   = "private_key_jwt"
	authNone  = "none"
)

// asymmetricAlgorithms are the signature algorithms that can be configured (RFC
// 7518, section 3.1; RFC 8037). With a symmetric one the client secret, or a
// public key, could sign tokens.
var asymmetricAlgorithms = []string{
	"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA",
}

// offlineAccess is the scope that asks for a refresh token (OpenID Connect Core
// 1.0, section 11).
const offlineAccess = "offline_access"

// maxTimeout is the time limit of the whole chain: docker gives up after 15
// seconds.
const maxTimeout = 10 * time.Second

// minReauthenticate leaves time for the pull or push after a login.
const minReauthenticate = time.Minute

// minMaxAge leaves time for a person to come back from the provider.
const minMaxAge = time.Minute

// prompts are the values of Config.Prompt (OpenID Connect Core 1.0, section 3.1.2.1).
// "none" would refuse a person who is not signed in there.
var prompts = []string{promptLogin, "select_account", promptConsent}

const (
	promptLogin   = "login"
	promptConsent = "consent"
)

// ClaimNames returns the names of the claims that rules can use.
func (c Config) ClaimNames() []string { return c.Claims }

// FoldsCase reports whether the provider ignores case in names.
func (c Config) FoldsCase() bool { return c.IgnoreCase }

// TokenIssuer returns the issuer of all tokens of this provider.
func (c Config) TokenIssuer() string { return c.Issuer }

// Methods returns the methods of the grants.
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
		case grantBrowser:
			all = append(all, providers.MethodBrowser)
		}
	}
	return all
}

// ReadsGroups reports whether groups are configured.
func (c Config) ReadsGroups() bool { return c.Groups.Claim != "" }

// GroupNames returns the options of group names, which apply before the prefix.
func (c Config) GroupNames() providers.GroupNames { return c.Groups.GroupNames }

// WithDefaults returns a copy with the defaults filled in, except those of
// [providers.Config].
func (c Config) WithDefaults() Config {
	if c.Scopes == nil {
		c.Scopes = []string{"openid", "profile", "email"}
	}
	if c.Groups.Graph != "" {
		c.Groups.Graph = strings.TrimSuffix(c.Groups.Graph, "/")
		if c.Groups.By == "" {
			c.Groups.By = groupsByID
		}
		if c.Groups.Claim == "" {
			c.Groups.Claim = "groups"
		}
	}
	if c.AuthStyle == "" && c.ClientKey != "" {
		c.AuthStyle = authKey
	}
	if c.Label == "" {
		c.Label = c.Name
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
	if c.BackchannelLogout == "" {
		c.BackchannelLogout = logoutBrowser
	}
	if c.Revoke == "" {
		c.Revoke = string(providers.RevokeSignIn)
	}
	if c.Timeout == 0 {
		c.Timeout = 3 * time.Second
	}
	return c
}

// grants reports whether Grants names a grant.
func (c Config) grants(grant string) bool { return slices.Contains(c.Grants, grant) }

// usesClient reports whether a grant is configured in which our client sends requests.
func (c Config) usesClient() bool {
	return c.grants(grantPassword) || c.grants(grantRefresh) || c.grants(grantBrowser)
}
