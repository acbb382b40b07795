package client

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParseChallenges: challenges as registries and the proxies in front of them send
// them.
func TestParseChallenges(t *testing.T) {
	bearer := func(params ...string) challenge {
		c := challenge{"bearer", map[string]string{}}
		for i := 0; i < len(params); i += 2 {
			c.Params[params[i]] = params[i+1]
		}
		return c
	}
	basic := challenge{"basic", map[string]string{"realm": "r"}}
	for _, tt := range []struct {
		name    string
		headers []string
		want    []challenge
		fails   bool
	}{
		{"none", nil, nil, false},
		{"distribution", []string{`Bearer realm="https://auth.example/jwt/auth",service="r",scope="repository:a/b:pull,push",error="invalid_token"`},
			[]challenge{bearer("realm", "https://auth.example/jwt/auth", "service", "r", "scope", "repository:a/b:pull,push", "error", "invalid_token")}, false},
		{"zot, with an empty scope", []string{`Bearer realm="https://a/",service="s",scope=""`}, []challenge{bearer("realm", "https://a/", "service", "s", "scope", "")}, false},
		{"blanks and capitals", []string{`BEARER Realm = "x" ,  SERVICE=y`}, []challenge{bearer("realm", "x", "service", "y")}, false},
		{"escapes in a quoted string", []string{`Bearer realm="a\"b\\c"`}, []challenge{bearer("realm", `a"b\c`)}, false},
		{"two in one header", []string{`Basic realm="r", Bearer realm="x",service="y"`}, []challenge{basic, bearer("realm", "x", "service", "y")}, false},
		{"two headers", []string{`Basic realm="r"`, `Bearer realm="x"`}, []challenge{basic, bearer("realm", "x")}, false},
		{"a scheme alone", []string{`Negotiate, Bearer realm="x"`}, []challenge{{"negotiate", map[string]string{}}, bearer("realm", "x")}, false},
		{"a parameter twice", []string{`Bearer realm="x",realm="y"`}, []challenge{bearer("realm", "x")}, false},
		{"an open quotation", []string{`Bearer realm="x`}, []challenge{bearer()}, true},
		{"no value", []string{`Bearer realm=`}, []challenge{bearer()}, true},
		{"no scheme", []string{`="x"`}, nil, true},
		{"too long", []string{`Bearer realm="` + strings.Repeat("x", maxChallenge) + `"`}, nil, true},
	} {
		got, err := parseChallenges(tt.headers)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != tt.fails {
			t.Errorf("%s: %v, want an error = %v (-want +got)\n%s", tt.name, err, tt.fails, diff)
		}
	}
}

// FuzzParseChallenges: what is parsed is bounded by the header, and prints and parses back
// the same.
func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://auth.example/jwt/auth",service="r",scope="repository:a/b:pull,push"`)
	f.Add(`Negotiate abc==, Basic realm="a\"b"`)
	f.Fuzz(func(t *testing.T, header string) {
		challenges, err := parseChallenges([]string{header})
		if err != nil {
			return
		}
		var again []string
		for _, c := range challenges {
			var params []string
			for name, value := range c.Params {
				params = append(params, name+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value)+`"`)
			}
			again = append(again, c.Scheme+" "+strings.Join(params, ","))
		}
		got, err := parseChallenges(again)
		if diff := cmp.Diff(challenges, got); err == nil && diff != "" && len(strings.Join(again, "")) <= maxChallenge {
			t.Errorf("%q parses to %q (-want +got)\n%s", header, again, diff)
		}
	})
}
