// Package providers proves who a person or a job is.
//
// A [Provider] is a directory, an OpenID provider or a file of local users. The
// [Chain] asks the configured ones in order and stands between them and the
// world: it normalizes the [Login] that was typed, decides which provider may
// see which [Credential], caches right passwords for a minute, limits wrong
// ones, and gives every user name and group its provider's prefix.
//
// An answer is an [Identity] or an error of one of four kinds, told apart with
// [errors.Is] and never by their text:
//
//	ErrNotMine    this provider knows that it has no such account; the next is asked
//	ErrRejected   the credential is wrong, or the account may not log in; 401
//	ErrGone       the account or the grant no longer exists; 401
//	any other     the provider cannot tell now; 503, never 401
//
// The chain wraps the fourth kind in ErrUnavailable at its exits, so that its
// callers can tell it from a fault of their own.
//
// A password passes, in this order, the steps in these files, which
// authenticate.go calls:
//
//	route.go      what kind of secret it is, and which providers may see it
//	[throttle]    the name window and the address budget: too many wrong ones?
//	memory.go     the cache of right passwords
//	flight.go     single-flight: an equal login under way shares its answer
//	password.go   the provider: the chain looks the account up, reserves an entry
//	              in the account's window, and only then has the password proved
//	adopt.go      user name, prefix, groups (names.go, groupnames.go), and whether
//	              this person may come in at all
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
	// ErrNotMine says that this provider knows it has no account of that
	// login name. The chain asks the next provider.
	ErrNotMine = errors.New("no such account at this provider")

	// ErrRejected says that the credential is wrong or that the account may
	// not log in. It ends the chain. Which of the two it was is in the
	// wrapping error, for the log; the client hears one and the same answer.
	ErrRejected = errors.New("credential rejected")

	// ErrGone says that what was once proved no longer exists: an entry that
	// is missing from the directory, a grant that the OpenID provider calls
	// invalid. It refuses a session, and ends it only after session.grace.
	ErrGone = errors.New("account or grant is gone")

	// ErrEnded says that a session of this identity must end now, because a
	// flag on the entry itself says so: disabled, expired, locked for good.
	// Only [Revalidator] returns it, wrapped together with ErrRejected.
	ErrEnded = errors.New("account is disabled, expired or locked for good")

	// ErrUnavailable says that a provider cannot tell now whether a credential
	// is right. The client gets 503 with Retry-After. The chain wraps every
	// error of none of the kinds above in it, so a provider need not.
	ErrUnavailable = errors.New("temporarily unavailable")

	// ErrCannotRevalidate says that a provider has no way of being asked again
	// about an identity, and never will.
	ErrCannotRevalidate = errors.New("the provider cannot be asked again without a password")
)

// Kind says what a credential's secret is.
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
	Login   Login       // what was typed; only the throttle, the caches, match and the provider's own lookup see it
	Secret  secret.Text // never empty
	Address netip.Addr  // the client's; the zero Addr when it is unknown
	Service string      // the registry that the person wants to use
	Offline bool        // the client asked for an offline token, so a provider may ask for its own

	route route // set by [Chain.Recognize], zero until then
}

// Kind returns what [Chain.Recognize] found the secret to be.
func (c Credential) Kind() Kind { return c.route.kind }

// Method says how an identity was proved, as policy and audit name it. The
// browser page, which will also give out personal access and robots' tokens, is
// not built yet; rules may name its methods already.
type Method string

const (
	MethodPassword Method = "password" // a password, at whichever provider
	MethodRefresh  Method = "refresh"  // the provider's refresh token
	MethodIDToken  Method = "id_token" // an ID token of a trusted issuer
	MethodBrowser  Method = "browser"  // a sign-in page
	MethodPAT      Method = "pat"      // a personal access token
	MethodRobot    Method = "robot"    // a robot's token
)

// Groups that are shorepass's own. A provider's groups of these names are
// dropped, so that no directory can put anybody into them.
const (
	GroupAnonymous     = "anonymous"
	GroupAuthenticated = "authenticated"
)

// Identity is a proved person, job or robot. It is never changed once a
// provider has returned it to the chain and the chain to its caller.
type Identity struct {
	Provider     string         // the provider's configured name
	Fingerprint  string         // of that provider when it proved this; a reload may have pointed the name elsewhere since
	Subject      string         // never changes for that person: entryUUID, objectGUID, the sub of the issuer
	User         string         // the user name, read from the entry or claim, never what was typed
	Groups       []string       // names of the groups that the person is in, prefixed and filtered; sorted, without repetition
	Unsure       []string       // names of groups that the person may or may not be in, none of them in Groups, in the same form; [UnsureAll] where not even the names are known
	FoldsCase    bool           // the provider ignores case in names, so that rules compare User, Groups and Unsure folded
	Claims       map[string]any // what policy may look at: the provider's claims or the attributes the config names
	Method       Method         // set by the chain alone
	AuthTime     time.Time      // when the person last authenticated: as the provider tells, else the chain's time
	ACR          string         // the provider's authentication context class (OpenID Connect Core 1.0, section 2); empty where it tells none
	AMR          []string       // the provider's authentication methods (RFC 8176)
	Stamp        string         // the provider's mark of password and account state, compared for equality only
	RefreshToken secret.Text    // the provider's own, with which it is asked again; policy and audit never see it
}

// InGroup reports whether the person is known to be in the group of that name,
// compared as the provider compares names. Our own two are meant by their very words
// alone, as in rules.
func (id *Identity) InGroup(name string) bool {
	if !id.FoldsCase || ourGroup(name) {
		return slices.Contains(id.Groups, name)
	}
	return slices.ContainsFunc(id.Groups, func(group string) bool { return fold.Name(group) == fold.Name(name) })
}

// UnsureAll in [Identity.Unsure] says that the person may be in any group, since
// the provider did not name all of them.
const UnsureAll = "*"

// Provider finds accounts and proves passwords. It is safe for concurrent use.
type Provider interface {
	// Lookup returns the account that login names, without a secret. The
	// error wraps ErrNotMine (the chain asks the next provider), ErrRejected
	// or ErrGone; any other means that the provider is unavailable. It
	// returns by the deadline of ctx.
	Lookup(ctx context.Context, login Login) (*Account, error)

	// Fingerprint tells one account base from another: issuer and client for
	// OpenID Connect, kind, base and subject attribute for a directory. A
	// session is refused when its provider's fingerprint has changed.
	Fingerprint() string
}

// Account is an account that a [Provider] found. It holds no connection and
// nothing to close.
type Account struct {
	// Subject is the Identity.Subject to come. The throttle counts by it, so
	// that "bob", "CORP\bob" and "bob@corp.example" share one counter. It is
	// empty where the provider cannot know it beforehand.
	Subject string

	// State is a hash of the entry's stamp and of the attributes of its account
	// state (disabled, locked, expired), and of nothing that a failed bind
	// changes. A wrong password is asked about again once it differs. It is
	// empty where the provider cannot see it, and then never changes.
	State string

	// Prove returns the identity that the proof proves. The error wraps
	// ErrRejected or ErrGone; any other means that the provider is
	// unavailable. The chain calls it at most once, before the deadline of
	// Lookup's ctx, and only if the throttle lets it. Names and groups come
	// back without prefix, and Method is left out: the chain adds them.
	Prove func(ctx context.Context, p Proof) (*Identity, error)
}

// Proof is the password that came with a login name.
type Proof struct {
	Secret  secret.Text // never empty
	Offline bool        // the provider may ask for a refresh token of its own
}
