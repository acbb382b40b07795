package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

const goodHeader = `{"alg":"ES256","typ":"JWT","kid":"` + oidctest.EC + `"}`

// claimsText returns the JSON of valid claims, with extra appended to its
// members.
func claimsText(iss string, extra string) string {
	now := time.Now().Unix()
	return fmt.Sprintf(`{"iss":%q,"sub":"s","aud":"registry","iat":%d,"exp":%d%s}`, iss, now, now+300, extra)
}

func TestForgedTokens(t *testing.T) {
	i := oidctest.NewIssuer(t)
	other := oidctest.NewIssuer(t)
	p := newCIProvider(t, i.URL, nil)
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ownJWK, err := json.Marshal(oidctest.JWK(t, own.Public()))
	if err != nil {
		t.Fatal(err)
	}
	jwk := string(ownJWK)
	claims := func(extra string) string { return claimsText(i.URL, extra) }
	raw := func(text string) string { return i.Sign(goodHeader, text, oidctest.EC) }
	now := time.Now()
	with := func(name string, value any) string { return i.IDToken(map[string]any{name: value}) }
	good := with("jti", "1")
	signed := func(header string) string { return oidctest.SignWith(t, header, claims(""), own) }

	tests := []struct{ name, token string }{
		// Signatures and headers.
		{"another key under a known kid", signed(goodHeader)},
		{"another key under an unknown kid", signed(`{"alg":"ES256","kid":"mine"}`)},
		{"another key without a kid", signed(`{"alg":"ES256"}`)},
		{"key in the header", signed(`{"alg":"ES256","jwk":` + jwk + `}`)},
		{"key in the header under a known kid", signed(`{"alg":"ES256","kid":"` + oidctest.EC + `","jwk":` + jwk + `}`)},
		{"key at jku", signed(`{"alg":"ES256","kid":"x","jku":"` + other.URL + oidctest.KeysPath + `"}`)},
		{"key at x5u", signed(`{"alg":"ES256","kid":"x","x5u":"` + other.URL + `/cert"}`)},
		{"kid is a path", signed(`{"alg":"ES256","kid":"../../../dev/null"}`)},
		{"kid is not a text", signed(`{"alg":"ES256","kid":7}`)},
		{"alg none", oidctest.SignWith(t, `{"alg":"none"}`, claims(""), nil)},
		{"alg None", oidctest.SignWith(t, `{"alg":"None"}`, claims(""), nil)},
		{"alg none with a signature", i.Sign(`{"alg":"none"}`, claims(""), oidctest.EC)},
		{"alg missing", i.Sign(`{"kid":"`+oidctest.EC+`"}`, claims(""), oidctest.EC)},
		{"alg HS256 with the public key", oidctest.SignWith(t, `{"alg":"HS256","kid":"`+oidctest.RSA+`"}`, claims(""), i.HMACKey())},
		{"alg HS256 with an empty key", oidctest.SignWith(t, `{"alg":"HS256"}`, claims(""), []byte{})},
		{"alg of another key", i.Sign(`{"alg":"RS256","kid":"`+oidctest.EC+`"}`, claims(""), oidctest.EC)},
		{"crit", i.Sign(`{"alg":"ES256","kid":"`+oidctest.EC+`","crit":["exp"],"exp":1}`, claims(""), oidctest.EC)},
		{"crit empty", i.Sign(`{"alg":"ES256","kid":"`+oidctest.EC+`","crit":[]}`, claims(""), oidctest.EC)},
		{"b64", i.Sign(`{"alg":"ES256","kid":"`+oidctest.EC+`","b64":false,"crit":["b64"]}`, claims(""), oidctest.EC)},
		{"alg twice", i.Sign(`{"alg":"none","alg":"ES256","kid":"`+oidctest.EC+`"}`, claims(""), oidctest.EC)},
		{"header is null", i.Sign(`null`, claims(""), oidctest.EC)},
		{"header is a list", i.Sign(`[]`, claims(""), oidctest.EC)},
		{"signature cut off", good[:strings.LastIndex(good, ".")+1]},
		{"signature changed", good[:len(good)-8] + "AAAAAAAA"},
		{"two parts", good[:strings.LastIndex(good, ".")]},
		{"four parts", good + ".x"},
		{"a million dots", strings.Repeat(".", 16<<10)},
		{"too long", with("pad", strings.Repeat("x", 16<<10))},
		{"not a token", "hunter2"},
		{"JSON serialization", `{"payload":"e30","protected":"e30","signature":"e30"}`},
		{"payload of another token", strings.Split(good, ".")[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(claims(`,"x":1`))) + "." + strings.Split(good, ".")[2]},

		// Kinds of tokens.
		{"access token by typ", i.Sign(`{"alg":"ES256","typ":"at+jwt","kid":"`+oidctest.EC+`"}`, claims(""), oidctest.EC)},
		{"access token by media type", i.Sign(`{"alg":"ES256","typ":"application/at+jwt","kid":"`+oidctest.EC+`"}`, claims(""), oidctest.EC)},
		{"logout token", i.Sign(`{"alg":"ES256","typ":"logout+jwt","kid":"`+oidctest.EC+`"}`, claims(""), oidctest.EC)},
		{"logout token by events", with("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}})},
		{"Keycloak access token", with("typ", "Bearer")},
		{"Keycloak refresh token", with("typ", "Refresh")},
		{"Keycloak offline token", with("typ", "Offline")},
		{"typ is not a text", with("typ", []string{"ID"})},
		{"Entra access token", with("scp", "User.Read")},
		{"Okta access token", with("scp", []string{"openid"})},
		{"RFC 9068 access token", with("scope", "read")},
		{"Cognito access token", with("token_use", "access")},

		// Issuer, audience and party.
		{"no iss", with("iss", nil)},
		{"iss with an extra slash", with("iss", i.URL+"/")},
		{"iss in upper case", with("iss", strings.ToUpper(i.URL))},
		{"iss of another issuer", with("iss", other.URL)},
		{"iss is a list", with("iss", []string{i.URL})},
		{"token of another issuer", other.IDToken(nil)},
		{"token of another issuer that names ours", other.IDToken(map[string]any{"iss": i.URL})},
		{"no aud", with("aud", nil)},
		{"aud empty", with("aud", "")},
		{"aud an empty list", with("aud", []string{})},
		{"aud null", raw(strings.Replace(claims(""), `"registry"`, `null`, 1))},
		{"aud of another", with("aud", "vault")},
		{"aud in upper case", with("aud", "REGISTRY")},
		{"aud with ours as a prefix", with("aud", "registry.evil")},
		{"aud an object", with("aud", map[string]any{"registry": true})},
		{"aud with a number", with("aud", []any{"registry", 7})},
		{"several aud, no azp", with("aud", []string{"registry", "vault"})},
		{"several aud, azp of another", i.IDToken(map[string]any{"aud": []string{"registry", "vault"}, "azp": "vault"})},
		{"several aud, azp empty", i.IDToken(map[string]any{"aud": []string{"registry", "vault"}, "azp": ""})},
		{"one aud, azp of another", with("azp", "vault")},
		{"azp is a list", with("azp", []string{"registry"})},

		// Subject and times.
		{"no sub", with("sub", nil)},
		{"sub empty", with("sub", "")},
		{"sub a list", with("sub", []string{"s"})},
		{"sub a number", with("sub", 7)},
		{"sub too long", with("sub", strings.Repeat("s", 256))},
		{"no exp", with("exp", nil)},
		{"exp null", raw(strings.Replace(claims(""), `"exp":`, `"exp":null,"x":`, 1))},
		{"exp a text", with("exp", fmt.Sprint(now.Unix()+300))},
		{"exp a list", with("exp", []int64{now.Unix() + 300})},
		{"exp in the past", with("exp", now.Unix()-61)},
		{"exp zero", with("exp", 0)},
		{"exp negative", with("exp", -1)},
		{"exp beyond time", raw(strings.Replace(claims(""), `"exp":`, `"exp":1e300,"x":`, 1))},
		{"exp beyond numbers", raw(strings.Replace(claims(""), `"exp":`, `"exp":1e999,"x":`, 1))},
		{"nbf in the future", with("nbf", now.Unix()+120)},
		{"nbf a text", with("nbf", "0")},
		{"iat in the future", with("iat", now.Unix()+120)},
		{"iat a text", with("iat", "0")},

		// Names of claims.
		{"sub twice", raw(claims(`,"sub":"admin"`))},
		{"sub and SUB", raw(claims(`,"SUB":"admin"`))},
		{"sub in upper case instead", raw(strings.Replace(claims(""), `"sub"`, `"SUB"`, 1))},
		{"long s in sub", raw(claims(`,"ſub":"admin"`))},
		{"long s in iss instead", raw(strings.Replace(claims(""), `"iss"`, `"iſs"`, 1))},
		{"Aud", raw(claims(`,"Aud":["registry"]`))},
		{"eXp", raw(strings.Replace(claims(""), `"exp"`, `"eXp"`, 1))},
		{"sub twice by an escape", raw(claims(`,"\u0073ub":"admin"`))},
		{"a nested name twice", raw(claims(`,"realm_access":{"roles":["a"],"roles":["b"]}`))},
		{"claims are a list", raw(`[]`)},
		{"claims are null", raw(`null`)},
		{"claims are empty", raw(``)},
		{"claims are followed by more", raw(claims("") + claims(""))},
		{"claims are not UTF-8", raw(strings.Replace(claims(""), `"s"`, "\"\xff\"", 1))},
		{"sub is half a character", raw(strings.Replace(claims(""), `"s"`, `"\ud800"`, 1))},
		{"claims are deep", raw(claims(`,"x":` + strings.Repeat("[", 11000) + strings.Repeat("]", 11000)))},
	}
	for _, tt := range tests {
		if id, err := present(p, t, tt.token); !errors.Is(err, providers.ErrRejected) {
			t.Errorf("%s: Authenticate = %v, %v, want ErrRejected", tt.name, id, err)
		} else if strings.Contains(err.Error(), tt.token) {
			t.Errorf("%s: the error quotes the token", tt.name)
		}
	}
	if n := i.Requests(oidctest.KeysPath); n > 4 {
		t.Errorf("%d requests for keys: forged tokens flood the provider", n)
	}
	if n := other.Requests(oidctest.KeysPath) + other.Requests("/cert"); n != 0 {
		t.Errorf("%d requests to URLs in token headers", n)
	}
	if n := i.Requests(oidctest.DiscoveryPath); n != 1 {
		t.Errorf("%d discovery requests, want one", n)
	}
}

// FuzzPresentedToken: every text but the valid ID token is rejected, and none
// means unavailable.
func FuzzPresentedToken(f *testing.F) {
	i := oidctest.NewIssuer(f)
	cfg := oidc.Config{Issuer: i.URL, Grants: []string{"id_token"}, Audience: []string{"registry"}, Users: oidc.Users{Claim: "sub"}}
	p, err := oidc.New(cfg.WithDefaults())
	if err != nil {
		f.Fatal(err)
	}
	good := i.IDToken(nil)
	f.Add(good)
	f.Add("..")
	f.Add("e30.e30.")
	f.Add(oidctest.SignWith(f, `{"alg":"none"}`, claimsText(i.URL, ""), nil))
	f.Fuzz(func(t *testing.T, token string) {
		id, err := p.VerifyIDToken(t.Context(), secret.New(token))
		if token == good || token == "" {
			return
		}
		if err == nil && !sameSignedPart(token, good) || err != nil && !errors.Is(err, providers.ErrRejected) {
			t.Errorf("Authenticate(%q) = %v, %v, want ErrRejected", token, id, err)
		}
	})
}

// sameSignedPart reports whether two tokens differ at most in their signatures:
// base64 does not use the last bits of a text.
func sameSignedPart(a, b string) bool {
	return strings.HasPrefix(a, b[:strings.LastIndex(b, ".")+1])
}
