package providers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"shorepass/internal/secret"
)

// optionalInterfaces are the optional interfaces of a Provider, each nil where it does
// not implement it. They are asserted once, when the chain is built.
type optionalInterfaces struct {
	tokens         TokenAcceptor
	idTokens       IDTokenVerifier
	refresh        RefreshGrant
	revalidator    Revalidator
	revoker        Revoker
	refreshOptions RefreshTokenOptions
	pinger         Pinger
	starter        Starter
	catchAll       CatchAll
	logins         LoginChecker
	domains        DomainOwner
	padder         Padder
	logSetter      LogSetter
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
	a.starter, _ = p.(Starter)
	a.catchAll, _ = p.(CatchAll)
	a.logins, _ = p.(LoginChecker)
	a.domains, _ = p.(DomainOwner)
	a.padder, _ = p.(Padder)
	a.logSetter, _ = p.(LogSetter)
	return a
}

// IDTokenVerifier is a Provider that takes ID tokens in the place of a password.
type IDTokenVerifier interface {
	// VerifyIDToken returns the identity that an ID token proves. The error
	// wraps ErrRejected, or ErrNotMine where the provider takes none; any
	// other means that the provider is unavailable.
	VerifyIDToken(ctx context.Context, token secret.Text) (*Identity, error)
}

// RefreshGrant is a Provider that takes refresh tokens of its own in the place
// of a password (RFC 6749, section 6).
type RefreshGrant interface {
	// RedeemRefreshToken returns the identity behind a refresh token, with the
	// RefreshToken that takes its place. It sends the token once. The error wraps
	// ErrRejected, or ErrNotMine where the provider takes none; any other
	// means that the provider is unavailable.
	RedeemRefreshToken(ctx context.Context, token secret.Text) (*Identity, error)
}

// Revalidator is a Provider that can be asked again about an identity without
// its password.
type Revalidator interface {
	// Revalidate returns the identity as the provider knows it now, its
	// groups replaced and its RefreshToken, where it rotated, the new one. id is
	// what a login or Revalidate returned before (of it Subject and RefreshToken
	// count). The chain compares the Subject of the answer with id's, and
	// keeps Method and AuthTime. The error wraps ErrGone (no such entry,
	// invalid_grant), or ErrRejected and ErrEnded (disabled, expired, locked
	// for good); any other means that the provider is unavailable. An
	// error after the RefreshToken rotated is, or wraps, a [*RotatedError] with the
	// new one, which must be kept.
	Revalidate(ctx context.Context, id *Identity) (*Identity, error)

	// PerSession reports whether each session has a RefreshToken of its own and is
	// asked for one by one (OpenID Connect), rather than once a person (LDAP).
	PerSession() bool
}

// Revoker is a Provider that can be told that a RefreshToken will not be used again
// (RFC 7009).
type Revoker interface {
	Revoke(ctx context.Context, refreshToken secret.Text) error
}

// RefreshTokenOptions is a Revalidator that is configured by how its provider keeps
// refresh tokens.
type RefreshTokenOptions interface {
	// OneTokenPerPerson reports that the provider keeps one refresh token for each
	// person, so that a login makes that of the login before useless.
	OneTokenPerPerson() bool

	// RevokeWhen says when a RefreshToken is to be revoked.
	RevokeWhen() RevokeWhen
}

// RevokeWhen says when a provider is to be told that a RefreshToken will not be used
// again.
type RevokeWhen string

const (
	RevokeSignIn RevokeWhen = "sign_in" // when the last session of its sign-in ends
	RevokeLast   RevokeWhen = "last"    // when the last session of its person ends that has one
	RevokeNever  RevokeWhen = "never"
)

// TokenAcceptor is a Provider to which tokens can be routed before it is asked.
type TokenAcceptor interface {
	// TrustsIssuer reports whether the provider accepts tokens whose iss
	// claim is exactly iss.
	TrustsIssuer(iss string) bool

	// Accepts reports whether credentials of this kind are accepted at all.
	Accepts(kind Kind) bool
}

// Pinger is a Provider that can say whether it is alive, for check --live.
type Pinger interface {
	// Ping connects if need be and returns its findings, a line of text each, or
	// why the provider cannot be reached. An error that wraps [ErrMismatch] may come
	// with findings.
	Ping(ctx context.Context) (found []string, err error)
}

// ErrMismatch says that a provider is reached, and that the configuration does not fit
// what it says of itself.
var ErrMismatch = errors.New("the configuration does not fit the provider")

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

// LoginChecker is a Provider that can tell at once, without a request, whether
// a name is its own. Where it says no, the chain takes the name for that of a
// later provider when it settles what kind of secret came with it.
type LoginChecker interface {
	HasLogin(login Login) bool
}

// DomainOwner is a Provider whose login names may come with a domain: "CORP\alice",
// "alice@corp.example".
type DomainOwner interface {
	// Domains returns the configured domains. It asks no directory.
	Domains() []string
}

// Padder is a Provider that can spend the time of a failed [Account] Prove. The
// chain calls Pad where it refuses a login without calling Prove, so that the
// time of an answer does not tell why. It returns when the answer for an account whose
// Lookup began at began would have come. For a provider without it the chain waits
// as long as one of its last refusals took.
type Padder interface {
	Pad(ctx context.Context, began time.Time, login Login, p Proof)
}

// LogSetter is a Provider that has something to say besides its answers, such as
// that two groups have one name. The chain gives it a log that names the
// provider, before it asks anything.
type LogSetter interface {
	SetLog(log *slog.Logger)
}
