package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// errUnknown says that no session answers to a token.
var errUnknown = fmt.Errorf("%w: there is no such session", ErrRefused)

// maxRounds is how often one redemption reads its session: once, and again
// after each time the provider was asked, since a revocation may have come
// meanwhile. More than one asking can only be due when answers come slower
// than Config.Revalidate.
const maxRounds = 4

// Redeem returns the session behind token, if token is of one of the kinds and
// good for service, and asks the provider again where that is due. The error
// wraps ErrRefused, providers.ErrUnavailable or an error of ctx.
func (s *Sessions) Redeem(ctx context.Context, token secret.Text, service string, client Client, kinds ...Kind) (*Session, error) {
	kind, hash, ok := parseToken(token)
	switch {
	case !ok:
		return nil, refused("it is mangled")
	case !slices.Contains(kinds, kind):
		return nil, refused("a token of the kind " + string(kind) + " is not good here")
	}
	return s.redeem(ctx, client, func(ctx context.Context) (*Row, error) {
		row, err := s.store.Find(ctx, hash, s.people.expected(hash))
		switch {
		case err != nil:
			return nil, err
		case row.Kind != kind:
			return nil, refused("its kind is another")
		case row.Service != service:
			return nil, refused(fmt.Sprintf("it was made for the service %q", row.Service))
		}
		return row, nil
	})
}

// redeem is what every redemption passes through, however its session is
// looked up.
func (s *Sessions) redeem(ctx context.Context, client Client, look func(context.Context) (*Row, error)) (*Session, error) {
	r, began := s.rules.Load(), s.now()
	for range maxRounds {
		row, err := look(ctx)
		if err != nil {
			return nil, lookError(err)
		}
		known, err := s.people.identify(ctx, row)
		if err != nil {
			return nil, err
		}
		now := s.now()
		if err := s.judge(ctx, r, row, known, now); err != nil {
			return nil, err
		}
		switch standing := r.weigh(row, began, now); standing {
		case good:
			return s.redeemed(r, row, known, client, now), nil
		case goodForNow:
			if _, err := s.ask(r, row, known); err != nil {
				return nil, err
			}
			return s.redeemed(r, row, known, client, now), nil
		case due:
			if err := s.await(ctx, r, row, known); err != nil {
				return nil, err
			}
		default:
			return nil, standing.err(known.Provider)
		}
	}
	return nil, unavailable(errors.New("the provider's answers are out of date before they arrive"))
}

func lookError(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return errUnknown
	case errors.Is(err, ErrRefused):
		return err
	}
	return unavailable(fmt.Errorf("look a session up: %w", err))
}

// redeemed notes the redemption and returns the session.
func (s *Sessions) redeemed(r *rules, row *Row, known *providers.Identity, client Client, now time.Time) *Session {
	s.usage.note(row, client, now)
	return r.session(row, known, now)
}

// judge refuses a session for what its row says, whatever its provider would
// say. What has come to its end here is ended for good.
func (s *Sessions) judge(ctx context.Context, r *rules, row *Row, known *providers.Identity, now time.Time) error {
	if err := r.stands(row, known); err != nil {
		return err
	}
	why := r.end(row, now)
	if why == "" {
		return nil
	}
	if _, err := s.store.End(ctx, []Hash{row.Hash}, why, "", now); err != nil {
		// It is over all the same, and will be found so again.
		s.log.Warn("a session could not be ended in the store", "session", row.Hash.ID(), "error", err)
	}
	if why == ReasonStamp {
		s.forget(known.Provider, known.Subject)
		wake(s.revocations)
	}
	return refused("it ended: " + string(why))
}

// stands refuses a session that has ended, or whose provider is no longer the
// one that the person logged in at.
func (r *rules) stands(row *Row, known *providers.Identity) error {
	if !row.Ended.IsZero() {
		return refused("it ended: " + string(row.Why))
	}
	switch print := r.providers.Fingerprint(known.Provider); {
	case print == "":
		return refused(fmt.Sprintf("there is no provider %q any more", known.Provider))
	case providerID(known.Provider, print) != row.ProviderID:
		return refused(fmt.Sprintf("the provider %q is another now", known.Provider))
	}
	return nil
}

// end returns why a session's life is over, or "".
func (r *rules) end(row *Row, now time.Time) Reason {
	switch {
	case !now.Before(r.expires(row)):
		return ReasonExpired
	case row.Used.IsZero() && !now.Before(row.Created.Add(r.cfg.Unused)):
		return ReasonUnused
	case !row.Used.IsZero() && !now.Before(row.Used.Add(r.cfg.Idle)):
		return ReasonIdle
	case stampChanged(row.Stamp, row.Person.Stamp):
		return ReasonStamp
	}
	return ""
}

// stampChanged compares a person's stamps. A stamp that is missing says
// nothing: an attribute that cannot be read any more is no new password.
func stampChanged(then, now string) bool { return then != "" && now != "" && then != now }

// standing is what a session is worth by its provider's last answer.
type standing int

const (
	good       standing = iota // the provider vouches for it
	goodForNow                 // it vouched, and is down now; ask it, but wait for nothing
	due                        // ask it and wait
	rejected                   // it says no, for now
	gone                       // it says that there is no such person
	down                       // it cannot tell, and the grace is over
	held                       // it says no of so many that it is not believed
)

func (st standing) err(provider string) error {
	switch st {
	case rejected:
		return refused(fmt.Sprintf("the provider %q does not let the person in at present", provider))
	case gone:
		return refused(fmt.Sprintf("the provider %q says that the person or grant is gone", provider))
	case held:
		return unavailable(fmt.Errorf("the provider %q suddenly refuses too many", provider))
	}
	return unavailable(&providers.Failure{Provider: provider, Err: errors.New("it cannot tell about the person")})
}

// retryAfter is how long a provider that said no, or could not tell, is left
// alone about a person.
const retryAfter = 30 * time.Second

// weigh says what a session is worth now, for a request that began a moment
// before: an answer that came since is new enough however long it took.
func (r *rules) weigh(row *Row, began, now time.Time) standing {
	p := &row.Person
	if row.Method == providers.MethodIDToken {
		return good // the token that proved it is long over, and its end is near
	}
	if p.Answer == AnswerVouched {
		if now.Before(p.Checked.Add(r.cfg.Revalidate)) || !p.Checked.Before(began) {
			return good
		}
		return due
	}
	wait := min(retryAfter, r.cfg.Revalidate)
	if p.Answer == AnswerNever {
		wait = r.cfg.Revalidate
	}
	recent := now.Before(p.Asked.Add(wait)) || !p.Asked.Before(began)
	forgiven := p.Gone.IsZero() && now.Before(p.Checked.Add(r.cfg.Revalidate+r.cfg.Grace))
	switch {
	case p.Answer == AnswerDown && forgiven && recent:
		return good
	case p.Answer == AnswerDown && forgiven:
		return goodForNow
	case !recent:
		return due
	case p.Answer == AnswerNever:
		return good
	case p.Answer == AnswerRejected:
		return rejected
	case p.Answer == AnswerGone:
		return gone
	case p.Answer == AnswerHeld:
		return held
	}
	return down
}
