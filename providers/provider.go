// Package providers proves who somebody is.
//
// A [Provider] is a directory, an OpenID provider or a file of local users. The
// [Chain] asks the configured ones in order and stands between them and the
// world: it normalizes the [Login] that was typed, decides which provider may
// see which [Credential], remembers right passwords for a minute, counts wrong
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
// The chain marks the fourth kind ErrUnavailable on its way out, so that nobody
// behind it needs to know the other three to tell it.
//
// What a password passes on its way, in this order, by file; chain.go is the
// way itself:
//
//	route.go      what kind of secret it is, and which providers may see it
//	memory.go     whether it was proved within the last minute
//	flight.go     whether an equal login is under way, whose answer it shares
//	throttle.go   whether too many wrong ones came: of a login (attempt.go), by
//	              what is being asked at this moment (inquiry.go, places.go) and
//	              what was counted (counters.go; between replicas, shared.go)
//	ldap, file …  the provider, which calls the throttle once it knows the account
//	adopt.go      prefix, groups, and whether this person may come in at all
//
// The package knows nothing of HTTP, of the registry's protocol, or of policy.
package providers

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"shorepass/internal/secret"
	"time"
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
	// invalid. A session that hears it is marked, not ended at once.
	ErrGone = errors.New("account or grant is gone")

	// ErrEnded says that a session of this identity must end now, because a
	// flag on the entry itself says so: disabled, expired, locked for good.
	// Only [Revalidator] returns it, wrapped together with ErrRejected.
	ErrEnded = errors.New("account is disabled, expired or locked for good")

	// ErrUnavailable says that it cannot be told now whether a credential is
	// right. The client gets 503 and is asked to come again. The chain wraps
	// it around every error that is none of the kinds above, so a provider
	// need not return it.
	ErrUnavailable = errors.New("temporarily unavailable")

	// ErrCannotRevalidate says that a provider has no way of being asked again
	// about an identity, and never will.
	ErrCannotRevalidate = errors.New("the provider cannot be asked again without a password")
)

// Kind says what a credential's secret is.
type Kind int

const (
	Password     Kind = iota // a corporate or local password
	RefreshToken             // a provider's own refresh token (RFC 6749, section 1.5)
	IDToken                  // an ID token (OpenID Connect Core 1.0, section 2)
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

// Credential is what somebody brought to prove who they are.
type Credential struct {
	Login   Login       // what was typed, normalized; only throttles, memories, match and the provider's own lookup see it
	Secret  secret.Text // never empty
	Kind    Kind        // what the secret is, settled by the chain before any provider sees it
	Address netip.Addr  // the client's; the zero Addr when it is unknown
	Service string      // the registry that the person wants to use
	Offline bool        // the client asked for an offline token, so a provider may ask for its own

	// Admit is called by a provider once it knows whose account a login name
	// names and before the secret is sent or checked anywhere. subject is the
	// Identity.Subject to come or, where the provider cannot know it
	// beforehand, empty. An error ends the attempt and is returned as it is.
	// It is how "bob", "CORP\bob" and "bob@corp.example" share one counter.
	// Nil admits everything.
	Admit func(ctx context.Context, subject string) error
}

// Admitted calls Admit, if there is one.
func (c Credential) Admitted(ctx context.Context, subject string) error {
	if c.Admit == nil {
		return nil
	}
	return c.Admit(ctx, subject)
}

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
	Provider    string         // the provider's configured name
	Fingerprint string         // of that provider when it proved this; a reload may have pointed the name elsewhere since
	Subject     string         // never changes for that person: entryUUID, objectGUID, the sub of the issuer
	User        string         // the user name, read from the entry or claim, never what was typed
	Groups      []string       // group names, prefixed and filtered; sorted, without repetition
	Claims      map[string]any // what policy may look at: the provider's claims or the attributes the config names
	Method      Method
	AuthTime    time.Time   // when the credential was last proved
	Stamp       string      // the provider's mark of password and account state, compared for equality only
	Renewal     secret.Text // what the provider wants kept to be asked again (its refresh token); policy and audit never see it
}

// Provider proves credentials.
type Provider interface {
	// Authenticate returns the identity that cred proves. The error wraps
	// ErrNotMine (the chain asks the next provider), ErrRejected or ErrGone;
	// any other error means that this provider cannot tell now. It returns by
	// the deadline of ctx, calls cred.Admitted before it sends or checks the
	// secret, and is safe for concurrent use. Names and groups come back
	// without prefix; the chain adds it.
	Authenticate(ctx context.Context, cred Credential) (*Identity, error)

	// Fingerprint tells one account base from another: issuer and client for
	// OpenID Connect, kind, base and subject attribute for a directory. A
	// session is refused when its provider's fingerprint has changed.
	Fingerprint() string
}

// Revalidator is a Provider that can be asked again about an identity without
// its password.
type Revalidator interface {
	// Revalidate returns the identity as the provider knows it now, its
	// groups replaced and its Renewal, where it rotated, the new one. id is
	// what Authenticate or Revalidate returned before (of it Subject and
	// Renewal count). The error wraps ErrGone (no such entry,
	// invalid_grant), or ErrRejected and ErrEnded (disabled, expired, locked
	// for good); any other means that the provider cannot tell now. Whatever
	// it is, where the Renewal had rotated before the failure the error is, or
	// wraps, a [*RotatedError] with the new one, which must be kept.
	Revalidate(ctx context.Context, id *Identity) (*Identity, error)

	// PerSession reports whether each session has a Renewal of its own and is
	// asked for one by one (OpenID Connect), rather than once a person (LDAP).
	PerSession() bool
}

// Revoker is a Provider that can be told that a Renewal will not be used again
// (RFC 7009).
type Revoker interface {
	Revoke(ctx context.Context, renewal secret.Text) error
}

// TokenIssuer is a Provider to which tokens can be routed before it is asked.
type TokenIssuer interface {
	// TrustsIssuer reports whether the provider accepts tokens whose iss
	// claim is exactly iss.
	TrustsIssuer(iss string) bool

	// Accepts reports whether credentials of this kind are accepted at all.
	Accepts(kind Kind) bool
}

// Pinger is a Provider that can say whether it is alive, for check --live.
type Pinger interface {
	// Ping connects if need be and returns what was found, a line of text
	// each, or why the provider cannot be reached.
	Ping(ctx context.Context) (found []string, err error)
}

// Starter is a Provider with work in the background, such as keeping
// connections healthy or keys fresh.
type Starter interface {
	// Start begins the work and returns at once; Close ends it and waits. A
	// provider that was never started is closed too.
	Start(ctx context.Context)
	Close() error
}

// CatchAll is a Provider that may be unable to know that a name is not its own:
// a DN template, a password grant.
type CatchAll interface {
	// CatchesAll reports that the provider never answers ErrNotMine to a
	// password, so that no later provider is asked about a name that its
	// match has.
	CatchesAll() bool
}

// Knower is a Provider that can tell at once, without asking anybody, whether
// a name is its own. Where it says no, the chain takes the name for that of a
// later provider when it settles what kind of secret came with it.
type Knower interface {
	Knows(login Login) bool
}

// Equalizer is a Provider whose ErrNotMine comes sooner than its ErrRejected,
// because there is no hash to check the secret against. The chain calls
// Equalize when that answer was the last, so that the time it took does not
// tell which names exist. A provider that does such work before it answers
// ErrNotMine does not implement it.
type Equalizer interface {
	Equalize(ctx context.Context, cred Credential)
}

// Reporter is a Provider that has something to say besides its answers, such as
// that two groups have one name. The chain gives it a log that names the
// provider, before it asks anything.
type Reporter interface {
	ReportTo(log *slog.Logger)
}
