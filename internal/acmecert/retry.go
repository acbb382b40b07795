package acmecert

import (
	"errors"
	"net/http"
	"time"

	"golang.org/x/crypto/acme"
)

// refusal is an error that the next attempt would most likely meet too.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// The backoff between failed orders doubles from the first to the longest wait.
const (
	// A directory that cannot be reached, or is broken, costs nothing to ask again.
	firstRetry   = 5 * time.Second
	longestRetry = 10 * time.Minute

	// A refused order counts at the directory: Let's Encrypt allows five failed
	// validations of a name in an hour.
	firstRetryRefused   = 15 * time.Minute
	longestRetryRefused = 6 * time.Hour

	// A rate limit is waited for as long as the directory says, up to this.
	longestRateLimit = 24 * time.Hour
)

// backoff counts consecutive failures of one kind; its zero value counts none.
type backoff struct {
	refused  bool
	failures int
}

// after counts a failure and returns the wait, at least what the directory asks for with a
// rate limit.
func (b *backoff) after(err error) time.Duration {
	refused := isRefused(err)
	if refused != b.refused {
		*b = backoff{refused: refused}
	}
	first, longest := firstRetry, longestRetry
	if refused {
		first, longest = firstRetryRefused, longestRetryRefused
	}
	wait := min(first<<min(b.failures, 10), longest)
	b.failures++
	if asked, ok := acme.RateLimit(rateLimited(err)); ok {
		wait = max(wait, min(asked, longestRateLimit))
	}
	return wait
}

// isRefused reports whether the directory has answered and refused.
func isRefused(err error) bool {
	_, refused := errors.AsType[refusal](err)
	_, authorization := errors.AsType[*acme.AuthorizationError](err)
	_, order := errors.AsType[*acme.OrderError](err)
	problem, ok := errors.AsType[*acme.Error](err)
	return refused || authorization || order || ok && problem.StatusCode >= 400 && problem.StatusCode < 500
}

// rateLimited returns the problem document that an error wraps, as [acme.RateLimit] takes
// it.
func rateLimited(err error) error {
	if problem, ok := errors.AsType[*acme.Error](err); ok {
		return problem
	}
	return err
}

// nonceRetries bounds how often one request is sent again because the directory refuses
// its nonce, which the answer replaces. Requests that fail otherwise are not sent again:
// backoff says when the whole order is.
const nonceRetries = 20

func retryRequest(n int, _ *http.Request, res *http.Response) time.Duration {
	if n > nonceRetries || res.StatusCode != http.StatusBadRequest {
		return 0
	}
	return 10 * time.Millisecond
}

// maxErrorText bounds what the log has of an error, whose text is the directory's.
const maxErrorText = 1000

func shorten(err error) string {
	text := err.Error()
	if len(text) > maxErrorText {
		text = text[:maxErrorText] + "…"
	}
	return text
}
