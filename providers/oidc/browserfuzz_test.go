package oidc_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"

	"shorepass/providers"
	"shorepass/providers/oidc"
)

const fuzzIssuer = "https://sso.corp.example"

func newFuzzProvider(f *testing.F) *oidc.Provider {
	f.Helper()
	p, err := oidc.New(oidc.Config{Issuer: fuzzIssuer, ClientID: "page", Grants: []string{"browser"}}.WithDefaults())
	if err != nil {
		f.Fatal(err)
	}
	return p
}

// FuzzAuthorizationResponse: a response is accepted only if it has one code, and the state
// and the issuer of the request; the error of any other is out of a closed set.
func FuzzAuthorizationResponse(f *testing.F) {
	p := newFuzzProvider(f)
	for _, query := range []string{
		"code=c&state=st&iss=" + fuzzIssuer, "code=c", "code=c&code=d", "code=c&state=other", "code=c&state=st&iss=https://evil.example",
		"error=access_denied&state=st", "error=%3Cb%3E", "error=access_denied&code=c", "iss=&code=c", "",
	} {
		f.Add(query, true)
		f.Add(query, false)
	}
	f.Fuzz(func(t *testing.T, query string, promisesIss bool) {
		params, err := url.ParseQuery(query)
		if err != nil {
			t.Skip()
		}
		code, err := oidc.CheckResponse(p, promisesIss, providers.AuthorizationResponse{Request: providers.AuthorizationRequest{State: "st"}, Params: params})
		refused, isError := errors.AsType[*providers.AuthorizationError](err)
		switch {
		case err == nil:
			good := code != "" && slices.Equal(params["code"], []string{code}) && !params.Has("error") &&
				(!params.Has("state") || params.Get("state") == "st") &&
				(params.Get("iss") == fuzzIssuer || !promisesIss && !params.Has("iss"))
			if !good {
				t.Errorf("%q is accepted with the code %q", query, code)
			}
		case isError && refused.Code != params.Get("error") && refused.Code != "other":
			t.Errorf("%q has the error %q", query, refused.Code)
		case !isError && !errors.Is(err, providers.ErrRejected):
			t.Errorf("%q: %v, want a rejection", query, err)
		}
	})
}

// FuzzLogoutClaims: what is accepted as a logout token is one of this issuer, for this
// client, and no ID token.
func FuzzLogoutClaims(f *testing.F) {
	p := newFuzzProvider(f)
	now := time.Unix(1_800_000_000, 0)
	for _, payload := range []string{
		`{"iss":"https://sso.corp.example","aud":"page","iat":1800000000,"jti":"j","sub":"s","events":{"http://schemas.openid.net/event/backchannel-logout":{}}}`,
		`{"iss":"https://sso.corp.example","aud":["page","x"],"iat":1800000000,"exp":1800000120,"jti":"j","sid":"s","events":{"http://schemas.openid.net/event/backchannel-logout":{"x":1}}}`,
		`{"iss":"https://sso.corp.example","aud":"page","iat":1800000000,"jti":"j","sub":"s","nonce":"n","events":{"http://schemas.openid.net/event/backchannel-logout":{}}}`,
		`{"iss":"https://evil.example","aud":"page","iat":1800000000,"jti":"j","sub":"s","events":{"http://schemas.openid.net/event/backchannel-logout":{}}}`,
		`{"events":true}`, `[]`, `{`,
	} {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		if oidc.CheckLogoutClaims(p, []byte(payload), now) != nil {
			return
		}
		var claims map[string]any
		if err := json.Unmarshal([]byte(payload), &claims); err != nil {
			t.Fatalf("%s is accepted: %v", payload, err)
		}
		audience, _ := claims["aud"].([]any)
		events, _ := claims["events"].(map[string]any)
		_, isLogout := events[logoutEvent].(map[string]any)
		_, hasNonce := claims["nonce"]
		if claims["iss"] != fuzzIssuer || claims["aud"] != "page" && !slices.Contains(audience, any("page")) || !isLogout || hasNonce || claims["sub"] == nil && claims["sid"] == nil {
			t.Errorf("%s is accepted", payload)
		}
	})
}
