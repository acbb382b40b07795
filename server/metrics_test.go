package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"shorepass/session"
)

// TestMetricsNameTheMethod: the label method is that of the credential, for refused
// requests too, and does not depend on how the credential is sent.
func TestMetricsNameTheMethod(t *testing.T) {
	h, _ := withIssuer(t, &issuer{})
	login := h.get(t, "service=blue&offline_token=true&account=alice", "alice", password)
	refresh := fmt.Sprint(login.json["refresh_token"])
	h.post(t, passwordForm("alice", "wrong", "blue"))
	h.get(t, "service=blue&scope=repository:public/app:pull")
	h.get(t, "service=blue", "alice", refresh)
	h.post(t, refreshForm(refresh, "blue"))
	h.post(t, refreshForm("no token of ours", "blue"))
	h.get(t, "service=blue", "$refresh", goodRefresh)
	h.get(t, "service=blue", "$refresh", "another")
	h.get(t, "service=blue", "alice", h.copySession(t, refresh, "sp_p_", session.KindPAT, 0))
	h.get(t, "service=blue", "robot", "sp_b_made-up")
	h.get(t, "service=blue", "alice", "sp_o_made-up")
	h.get(t, "service=blue", "alice", "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2V2aWwuZXhhbXBsZSJ9.AAAA")
	h.get(t, "service=blue&service=red")

	req, err := http.NewRequest(http.MethodGet, h.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(h.do(t, req).body) {
		if counted, ok := strings.CutPrefix(line, "shorepass_token_requests_total{method="); ok {
			got = append(got, strings.NewReplacer(`"`, "", ",provider=", " ", ",status=", " ", "}", "").Replace(strings.TrimSpace(counted)))
		}
	}
	want := []string{
		"anonymous  200 1",
		"browser  401 1",
		"id_token  401 1",
		"password  401 1",
		"password local 200 1",
		"pat local 200 1",
		"refresh  401 2",
		"refresh local 200 2",
		"refresh sso 200 1",
		"robot  401 1",
		"unknown  400 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("counted:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
