// Package providers proves who a person or a job is.
//
// A [Provider] is a directory, an OpenID provider or a file of local users. The [Chain]
// asks the configured ones in order. It normalizes the [Login], decides which provider may
// see which [Credential], caches right passwords for a minute, has the throttle limit wrong
// ones, and adds to every user name and group its provider's prefix.
//
// The result is an [Identity] or an error of one of four kinds, told apart with
// [errors.Is] and never by their text:
//
//	ErrNotMine    this provider knows that it has no such account; the next is asked
//	ErrRejected   the credential is wrong, or the account may not log in; 401
//	ErrGone       the account or the grant no longer exists; 401
//	any other     the provider is unavailable; 503, never 401
//
// The chain wraps the fourth kind in ErrUnavailable at its exits.
//
// A password passes, in this order, the steps in these files, which authenticate.go
// calls:
//
//	route.go          the kind of the secret, and the providers that may see it
//	[throttle]        the name window and the address budget: the rate limit
//	passwordcache.go  the cache of right passwords
//	logins.go         single-flight: equal logins in progress share one answer
//	password.go       the providers: Lookup of the account, an entry in its account
//	                  window, and only then Prove
//	adopt.go          user name, prefix, groups (names.go, groupnames.go), and
//	                  require_groups
//
// A password of the sign-in page's form takes the same way. Sign-ins with a browser at an
// OpenID provider are in signin.go.
//
// The package knows nothing of HTTP, of the registry's protocol, or of policy.
package providers

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"shorepass/internal/fold"
	"shorepass/internal/secret"
)

var (
	// ErrNotMine says that the provider knows that it has no account of the login
	// name. The chain asks the next provider.
	ErrNotMine = errors.New("no such account at this provider")

	// ErrRejected says that the credential is wrong or that the account may not log
	// in. The chain asks no other provider. The error that wraps it has the reason, for
	// the log; the client gets the same answer for all.
	ErrRejected = errors.New("credential rejected")

	// ErrGone says that an account or a grant no longer exists: the entry is missing
	// from the directory, or the OpenID provider calls the grant invalid. It refuses a
	// session immediately, and ends it only after session.grace.
	ErrGone = errors.New("account or grant is gone")

	// ErrEnded says that the sessions of this identity must end, because a flag of the
	// entry says so: disabled, expired, locked for good. Only [Revalidator] returns it,
	// wrapped together with ErrRejected.
	ErrEnded = errors.New("account is disabled, expired or locked for good")

	// ErrUnavailable says that a provider cannot tell now whether a credential is
	// right. The client gets 503 with Retry-After. The chain wraps every error that is
	// of none of the kinds above in it, so that a provider need not.
	ErrUnavailable = errors.New("temporarily unavailable")

	// ErrCannotRevalidate says that a provider cannot be asked again about an
	// identity, now or later.
	ErrCannotRevalidate = errors.New("the provider cannot be asked again without a password")
)

// Kind is the kind of a credential's secret.
type Kind int

const (
	Password     Kind = iota + 1 // a corporate or local password
	RefreshToken                 // a provider's own refresh token (RFC 6749, section 1.5)
	IDToken                      // an ID token (OpenID Connect Core 1.0, section 2)
)

// String returns the kind as logs and metrics name it.
func (k Kind) String() string {
	switch k {
	case Password:
		return "password"
	case RefreshToken:
		return "refresh_token"
	case IDToken:
		return "id_token"
	}
	return "unknown"
}

// Credential is a login name and the secret that came with it.
type Credential struct {
	Login   Login       // as it was typed; only the throttle, the caches, match and Lookup see it
	Secret  secret.Text // never empty
	Address netip.Addr  // the client's; the zero Addr where it is unknown
	Service string      // the registry that the person wants to use
	Offline bool        // the client asked for an offline token, so a provider may ask for its own

	route route // set by [Chain.Recognize], zero until then
	form  bool  // it was typed into the form of the sign-in page: see [Chain.SignInByForm]
}

// Kind returns the kind of the secret, as [Chain.Recognize] found it.
func (c Credential) Kind() Kind { return c.route.kind }

// Method is the way in which an identity was proved, as policy and audit name it. Rules may
// name the methods of personal access tokens and of robots, which do not exist yet.
type Method string

const (
	MethodPassword Method = "password" // a password, at whichever provider
	MethodRefresh  Method = "refresh"  // the provider's refresh token
	MethodIDToken  Method = "id_token" // an ID token of a trusted issuer
	MethodBrowser  Method = "browser"  // a sign-in page
	MethodPAT      Method = "pat"      // a personal access token
	MethodRobot    Method = "robot"    // a robot's token
)

// Groups of shorepass's own. A provider's groups of these names are dropped, so that no
// directory can put a person into them.
const (
	GroupAnonymous     = "anonymous"
	GroupAuthenticated = "authenticated"
)

// Identity is a proved person, job or robot. It is immutable once a provider has returned
// it to the chain and the chain to its caller. Invariant: no name is both in Groups and in
// Unsure.
type Identity struct {
	Provider     string         // the provider's configured name
	Fingerprint  string         // of the provider at the time of the login; since a reload the name may be another provider's
	Subject      string         // never changes for that person: entryUUID, objectGUID, the sub of the issuer
	User         string         // the user name, read from the entry or claim, never the login name
	Groups       []string       // names of the groups that the person is in, prefixed and filtered; sorted, without repetition
	Unsure       []string       // names of groups that may be the person's, none of them in Groups, in the same form; [UnsureAll] where the names are not known
	FoldsCase    bool           // the provider ignores case in names, so that rules compare User, Groups and Unsure folded
	Claims       map[string]any // the claims that policy may read: the provider's, or the attributes that the configuration names
	Method       Method         // set by the chain alone
	AuthTime     time.Time      // when the person last authenticated: the provider's time, else the chain's
	ACR          string         // the provider's authentication context class (OpenID Connect Core 1.0, section 2); empty where there is none
	AMR          []string       // the provider's authentication methods (RFC 8176)
	Stamp        string         // of the attributes that show a changed password or account state, compared for equality only; see [Stamp]
	RefreshToken secret.Text    // the provider's own, for revalidation; policy and audit never see it
}

// InGroup reports whether the person is for certain in the group of that name, compared as
// the provider compares names. The two groups of our own are compared exactly, as in rules.
func (id *Identity) InGroup(name string) bool {
	if !id.FoldsCase || ourGroup(name) {
		return slices.Contains(id.Groups, name)
	}
	return slices.ContainsFunc(id.Groups, func(group string) bool { return fold.Name(group) == fold.Name(name) })
}

// UnsureAll in [Identity.Unsure] says that the person may be in any group, since the
// provider did not name all of them.
const UnsureAll = "*"

// Provider finds accounts and proves passwords. It is safe for concurrent use.
type Provider interface {
	// Lookup returns the account that login names, without a secret. The error wraps
	// ErrNotMine (the chain asks the next provider), ErrRejected or ErrGone; any other
	// means that the provider is unavailable. Lookup returns by the deadline of ctx.
	Lookup(ctx context.Context, login Login) (*Account, error)

	// Fingerprint identifies the account base: issuer and client for OpenID Connect,
	// kind, base and subject attribute for a directory. A session is refused when the
	// fingerprint of its provider has changed.
	Fingerprint() string
}

// Account is an account that a [Provider] found. It holds no connection and
// nothing to close.
type Account struct {
	// Subject is the Subject of the Identity that Prove returns. It is the key of the
	// account window, so that "bob", "CORP\bob" and "bob@corp.example" share one. It is
	// empty where the provider cannot know it before Prove.
	Subject string

	// State is a hash of the entry's stamp and of the attributes of its account state
	// (disabled, locked, expired), and of nothing that a failed bind changes. A wrong
	// password is sent again once State differs. It is always empty where the provider
	// cannot see these.
	State string

	// Prove returns the identity that the password proves. The error wraps ErrRejected or
	// ErrGone; any other means that the provider is unavailable. The chain calls Prove
	// at most once, before the deadline of Lookup's ctx, and only if the throttle
	// admits it. Names and groups have no prefix, and Method is empty: the chain adds
	// them.
	Prove func(ctx context.Context, password LoginPassword) (*Identity, error)
}

// LoginPassword is the password that came with a login name.
type LoginPassword struct {
	Secret  secret.Text // never empty
	Offline bool        // the provider may ask for a refresh token of its own
}
