package pages

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

const (
	// sealPurpose is what the cookies of sign-ins are sealed for.
	sealPurpose = "sign-in cookie"

	// signInVersion is the version of pendingSignIn.
	signInVersion = 1

	// signInTTL is how long a sign-in may take.
	signInTTL = 10 * time.Minute

	// maxAge is sent as max_age: a session is fresh for as long after the person
	// authenticated, so that one which begins is fresh.
	maxAge = 10 * time.Minute

	// maxSignIns bounds the sign-ins in progress of a browser, such as in several tabs.
	maxSignIns = 4

	// stateLen is the length of a state: 32 random bytes in base64url. The first
	// stateID letters name its cookie.
	stateLen, stateID = 43, 12
)

// pendingSignIn is a sign-in in progress at a provider: what the callback needs to know of
// its start. It is a sealed cookie, so that the server has no state of it and any replica
// answers any step.
type pendingSignIn struct {
	Version  int       `json:"v"`
	Provider string    `json:"provider"`
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Hint     string    `json:"hint,omitempty"`
	To       string    `json:"to,omitempty"` // name of the route to which the browser goes afterwards
	Consent  bool      `json:"consent,omitempty"`
	Created  time.Time `json:"created"`
}

// request returns the authorization request of a sign-in.
func (p *Pages) request(v *Visit, s *pendingSignIn) providers.AuthorizationRequest {
	return providers.AuthorizationRequest{
		RedirectURI: p.url("/login/" + s.Provider + "/callback"),
		State:       s.State, Nonce: s.Nonce, Verifier: secret.New(s.Verifier),
		LoginHint: s.Hint, Consent: s.Consent, MaxAge: maxAge, Made: s.Created,
		Address: v.Client.Address,
	}
}

// url returns the URL of a path of the pages.
func (p *Pages) url(path string) string {
	return p.Origin.ResolveReference(&url.URL{Path: path}).String()
}

// startSignIn sends the browser to the provider. Of s it needs Provider, Hint, To and
// Consent.
func (p *Pages) startSignIn(ctx context.Context, v *Visit, s pendingSignIn) (*Response, error) {
	s.Version, s.Created = signInVersion, v.Now
	s.State, s.Nonce, s.Verifier = randomText(), randomText(), randomText()
	location, err := p.Providers.AuthorizationURL(ctx, s.Provider, p.request(v, &s))
	if err != nil {
		v.Record.Action, v.Record.Provider = ActionSignIn, s.Provider
		return nil, err
	}
	sealed, err := p.sealSignIn(&s)
	if err != nil {
		return nil, err
	}
	p.evictSignIns(v, maxSignIns-1)
	v.setCookie(p.cookie(cookieSignIn+s.State[:stateID], sealed, signInTTL))
	return redirect(location), nil
}

// randomText returns 256 random bits in base64url, 43 letters.
func randomText() string {
	random := make([]byte, 32)
	rand.Read(random) // never fails
	return base64.RawURLEncoding.EncodeToString(random)
}

func (p *Pages) sealSignIn(s *pendingSignIn) (string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	sealed, err := p.Sessions.Seal(sealPurpose, text)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// openSignIn returns the sign-in of a cookie, or nil: the cookie is none of ours, is sealed
// under a key that the ring has no more, or has another version.
func (p *Pages) openSignIn(value string) *pendingSignIn {
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(sealed) == 0 {
		return nil
	}
	text, err := p.Sessions.Open(sealPurpose, sealed)
	if err != nil {
		return nil
	}
	var s pendingSignIn
	if err := json.Unmarshal(text, &s); err != nil || s.Version != signInVersion || len(s.State) != stateLen {
		return nil
	}
	return &s
}

// takeSignIn returns the sign-in that a state belongs to, and deletes its cookie: it is
// used once. The error is a problem.
func (p *Pages) takeSignIn(v *Visit, state string) (*pendingSignIn, error) {
	if len(state) != stateLen {
		return nil, errSignInLost
	}
	name := cookieSignIn + state[:stateID]
	value := p.cookieValue(v.Request, name)
	if value == "" {
		return nil, errSignInLost
	}
	v.setCookie(p.deletion(name))
	s := p.openSignIn(value)
	switch {
	case s == nil, subtle.ConstantTimeCompare([]byte(s.State), []byte(state)) != 1:
		return nil, errSignInLost
	case v.Now.Sub(s.Created) > signInTTL:
		return nil, errSignInTooOld
	}
	return s, nil
}

// evictSignIns deletes the cookies of a browser's sign-ins in progress but for the newest
// keep, and those that cannot be used any more.
func (p *Pages) evictSignIns(v *Visit, keep int) {
	type stored struct {
		name    string
		created time.Time
	}
	var live []stored
	for _, cookie := range v.Request.Cookies() {
		name := strings.TrimPrefix(cookie.Name, p.cookieName(""))
		if !strings.HasPrefix(name, cookieSignIn) || p.cookieName(name) != cookie.Name {
			continue
		}
		s := p.openSignIn(p.cookieValue(v.Request, name))
		if s == nil || v.Now.Sub(s.Created) > signInTTL {
			v.setCookie(p.deletion(name))
			continue
		}
		live = append(live, stored{name, s.Created})
	}
	slices.SortFunc(live, func(a, b stored) int { return b.created.Compare(a.created) })
	for _, one := range live[min(keep, len(live)):] {
		v.setCookie(p.deletion(one.name))
	}
}

// redirect returns the response that sends the browser elsewhere: to a path of the pages,
// or to the provider that the person chose.
func redirect(location string) *Response {
	return &Response{Status: http.StatusSeeOther, Location: location}
}
