package server

import (
	"net/url"
	"testing"
	"time"

	"shorepass/session"
)

// FuzzParseRevocation: an accepted request either has a token or selects sessions,
// never both and never all sessions, and every parameter narrows the selection.
func FuzzParseRevocation(f *testing.F) {
	for _, form := range []string{
		"token=sp_r_x&token_type_hint=refresh_token", "session=aaaaaaaaaaaaaaaa", "user=jos%C3%A9&older_than=30d", "provider=local&group=a",
		"user=&older_than=1h", "older_than=1d12h", "older_than=0d", "older_than=99999d", "user=a&userr=b", "=", "token", "user=a&",
	} {
		f.Add(form)
	}
	now := time.Now()
	f.Fuzz(func(t *testing.T, form string) {
		params, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		rev, err := parseRevocation(params, now)
		if (rev == nil) != (err != nil) {
			t.Fatalf("parseRevocation(%q) = %v, %v, want one of both", form, rev, err)
		}
		if err != nil {
			return
		}
		sel := rev.selector
		if rev.token.IsZero() == (sel == session.Selector{}) {
			t.Errorf("parseRevocation(%q) has a token %v and selects %+v, want one of both", form, !rev.token.IsZero(), sel)
		}
		if sel.Ended || sel.Before.After(now) {
			t.Errorf("parseRevocation(%q) selects %+v", form, sel)
		}
		set := 0
		for _, is := range []bool{sel.ID != "", sel.User != "", sel.Provider != "", sel.Group != "", !sel.Before.IsZero()} {
			if is {
				set++
			}
		}
		if rev.token.IsZero() && set != len(params) {
			t.Errorf("parseRevocation(%q) selects by %d of %d parameters", form, set, len(params))
		}
	})
}
