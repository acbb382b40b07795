package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestIssuersOfPeople: two tables with one issuer at which people log in are a warning.
func TestIssuersOfPeople(t *testing.T) {
	const warning = `provider[1].issuer: people log in at "a" with the same issuer, and each of them is another person here: sessions are listed, counted and ended apart; merge the two tables, or leave only id_token in the grants of one`
	for _, tt := range []struct {
		first, second, issuer string // grants, and the issuer of the second
		want                  string
	}{
		{`"password"`, `"refresh_token"`, "https://sso.corp.example", warning},
		{`"refresh_token", "id_token"`, `"password", "refresh_token"`, "https://sso.corp.example", warning},
		{`"refresh_token"`, `"id_token"`, "https://sso.corp.example", ""},
		{`"id_token"`, `"password"`, "https://sso.corp.example", ""},
		{`"password"`, `"password"`, "https://sso.corp.example/", ""},
	} {
		text := "[token]\nissuer = \"i\"\nservices = [\"r\"]\n"
		for i, grants := range []string{tt.first, tt.second} {
			text += fmt.Sprintf("[[provider]]\nname = \"%c\"\nkind = \"oidc\"\nprefix = \"%c-\"\nissuer = %q\nclient_id = \"r\"\naudience = [\"r\"]\ngrants = [%s]\n",
				'a'+i, 'a'+i, []string{"https://sso.corp.example", tt.issuer}[i], grants)
		}
		text += "[[rule]]\nusers = [\"*\"]\nrepositories = [\"**\"]\nactions = [\"pull\"]\n"
		path := filepath.Join(t.TempDir(), "shorepass.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(path, kinds)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range cfg.Warnings {
			got = append(got, w.Key+": "+w.Problem)
		}
		if strings.Join(got, "\n") != tt.want {
			t.Errorf("grants [%s] and [%s]: warnings %q, want %q", tt.first, tt.second, got, tt.want)
		}
	}
}
