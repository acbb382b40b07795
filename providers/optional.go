package providers

import (
	"context"
	"log/slog"
	"time"

	"shorepass/internal/secret"
)

// optionalInterfaces are the optional interfaces of a Provider, each nil where the
// provider does not implement it. They are asserted once, when the chain is built.
type optionalInterfaces struct {
	tokens         TokenAcceptor
	idTokens       IDTokenVerifier
	refresh        RefreshGrant
	revalidator    Revalidator
	revoker        Revoker
	refreshOptions RefreshTokenOptions
	pinger         Pinger
	inspector      Inspector
	groupLister    GroupLister
	starter        Starter
	catchAll       CatchAll
	logins         LoginChecker
	domains        DomainOwner
	padder         Padder
	browser        BrowserSignIn
	logSetter      LogSetter
	peerReporter   PeerReporter
}

func assertInterfaces(p Provider) optionalInterfaces {
	var a optionalInterfaces
	a.tokens, _ = p.(TokenAcceptor)
	a.idTokens, _ = p.(IDTokenVerifier)
	a.refresh, _ = p.(RefreshGrant)
	a.revalidator, _ = p.(Revalidator)
	a.revoker, _ = p.(Revoker)
	a.refreshOptions, _ = p.(RefreshTokenOptions)
	a.pinger, _ = p.(Pinger)
	a.inspector, _ = p.(Inspector)
	a.groupLister, _ = p.(GroupLister)
	a.starter, _ = p.(Starter)
	a.catchAll, _ = p.(CatchAll)
	a.logins, _ = p.(LoginChecker)
	a.domains, _ = p.(DomainOwner)
	a.padder, _ = p.(Padder)
	a.browser, _ = p.(BrowserSignIn)
	a.logSetter, _ = p.(LogSetter)
	a.peerReporter, _ = p.(PeerReporter)
	return a
}

// IDTokenVerifier is a Provider that accepts an ID token as the password.
type IDTokenVerifier interface {
	// VerifyIDToken returns the identity that an ID token proves. The error
	// wraps ErrRejected, or ErrNotMine where the provider accepts none; any
	// other means that the provider is unavailable.
	VerifyIDToken(ctx context.Context, token secret.Text) (*Identity, error)
}

// RefreshGrant is a Provider that accepts a refresh token of its own as the password
// (RFC 6749, section 6).
type RefreshGrant interface {
	// RedeemRefreshToken returns the identity that a refresh token proves, with the
	// RefreshToken that replaces it. It sends the token once. The error wraps
	// ErrRejected, or ErrNotMine where the provider accepts none; any other means
	// that the provider is unavailable.
	RedeemRefreshToken(ctx context.Context, token secret.Text) (*Identity, error)
}

// Revalidator is a Provider that can be asked again about an identity without
// its password.
type Revalidator interface {
	// Revalidate returns the identity as the provider knows it now, with its current
	// groups and, where the RefreshToken rotated, the new one. id comes from a login or
	// an earlier Revalidate; of it only Subject and RefreshToken are used. The chain
	// compares the Subject of the answer with that of id, and sets Method and
	// AuthTime to those of id. The error wraps ErrGone (no such entry,
	// invalid_grant), or ErrRejected and ErrEnded (disabled, expired, locked for
	// good); any other means that the provider is unavailable. An error after the
	// RefreshToken rotated is, or wraps, a [*RotatedError] with the new one, which
	// must be stored.
	Revalidate(ctx context.Context, id *Identity) (*Identity, error)

	// PerSignIn reports whether each sign-in has a RefreshToken of its own and is
	// revalidated with it (OpenID Connect), rather than each person once (LDAP).
	PerSignIn() bool
}

// Revoker is a Provider that revokes a RefreshToken which will not be used again
// (RFC 7009).
type Revoker interface {
	Revoke(ctx context.Context, refreshToken secret.Text) error
}

// RefreshTokenOptions is a Revalidator with options on the lifetime of its refresh
// tokens, and of what they vouch for.
type RefreshTokenOptions interface {
	// OneTokenPerPerson reports whether the provider stores one refresh token for each
	// person, so that a login invalidates that of the login before.
	OneTokenPerPerson() bool

	// RevokeWhen returns when a RefreshToken is to be revoked.
	RevokeWhen() RevokeWhen

	// Reauthenticate returns how long after a person signed in their sessions
	// end, although the RefreshToken is still accepted; 0 for no limit.
	Reauthenticate() time.Duration
}

// RevokeWhen is the event at which a RefreshToken is to be revoked.
type RevokeWhen string

const (
	RevokeSignIn RevokeWhen = "sign_in" // when the last session of its sign-in ends
	RevokeLast   RevokeWhen = "last"    // when the last session of its person ends that has one
	RevokeNever  RevokeWhen = "never"
)

// TokenAcceptor is a Provider that tells which credentials it accepts, so that the chain
// can route them.
type TokenAcceptor interface {
	// TrustsIssuer reports whether the provider accepts tokens whose iss
	// claim is exactly iss.
	TrustsIssuer(iss string) bool

	// Accepts reports whether credentials of this kind are accepted at all.
	Accepts(kind Kind) bool
}

// Pinger is a Provider with a health check, for check --live.
type Pinger interface {
	// Ping connects if need be and returns its findings. The error says why the
	// provider cannot be reached; [KeyOf] returns the key that cures it.
	Ping(ctx context.Context) (Findings, error)
}

// Starter is a Provider with work in the background, such as health checks of its
// connections or the refresh of its keys.
type Starter interface {
	// Start begins the work and returns immediately; Close ends it and waits. A
	// provider that was never started is closed too.
	Start(ctx context.Context)
	Close() error
}

// CatchAll is a Provider that may be unable to tell that a login name is not its own,
// such as one with a DN template or the password grant.
type CatchAll interface {
	// CatchesAll reports whether the provider never answers ErrNotMine to a password,
	// so that no later provider is asked about a name that its match has.
	CatchesAll() bool
}

// LoginChecker is a Provider that can tell without a request whether a login name is
// its own. Where it is not, the chain recognizes the kind of a secret by the later
// providers.
type LoginChecker interface {
	// HasLogin reports whether login is a name of the provider's.
	HasLogin(login Login) bool
}

// DomainOwner is a Provider whose login names may come with a domain: "CORP\alice",
// "alice@corp.example".
type DomainOwner interface {
	// Domains returns the configured domains. It sends no request.
	Domains() []string
}

// Padder is a Provider that can take the time of a failed Prove of an [Account]. For a
// provider without it the chain waits as long as one of the last refusals took.
type Padder interface {
	// Pad returns when the answer for an account whose Lookup began at began would
	// have come. The chain calls it where it refuses a login without calling Prove, so
	// that the time of an answer does not tell why.
	Pad(ctx context.Context, began time.Time, login Login, password LoginPassword)
}

// LogSetter is a Provider that logs findings of its own, such as two groups of one
// name.
type LogSetter interface {
	// SetLog sets the log, which names the provider. The chain calls it before it asks
	// the provider anything.
	SetLog(log *slog.Logger)
}
