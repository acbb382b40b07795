package pages

import (
	"strings"
	"testing"

	"shorepass/policy"
)

// TestMyRights: a person sees what they may do today; one without any permission is told so,
// and whom to ask.
func TestMyRights(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	alice := s.signIn(member("alice"))
	page := text(alice.get("/me"))
	if want := "What you may do today"; !strings.Contains(page, want) || strings.Contains(page, "may not use any repository") {
		t.Errorf("alice's page lacks %q:\n%s", want, page)
	}
	page = text(alice.get("/me/rights"))
	if want := "What you may do today team-a/** : pull, push"; !strings.Contains(page, want) || strings.Contains(page, "may not use any repository") {
		t.Errorf("the page of alice's rights lacks %q:\n%s", want, page)
	}
	id := member("bob")
	id.Groups = []string{"authenticated"}
	bob := s.signIn(id)
	page = text(bob.get("/me"))
	for _, want := range []string{"You may not use any repository yet, so a login will not help you. Ask the container team for permission.", "Logins (1)"} {
		if !strings.Contains(page, want) {
			t.Errorf("bob's page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "What you may do today") {
		t.Errorf("bob's page has rights:\n%s", page)
	}
	if page = text(bob.get("/me/rights")); !strings.Contains(page, "You may not use any repository yet") {
		t.Errorf("the page of bob's rights:\n%s", page)
	}
}

// TestViewRights: what each right looks like.
func TestViewRights(t *testing.T) {
	t.Parallel()
	p := &Pages{Options: Options{Services: []Service{{Name: "registry", Hosts: []string{"registry.corp.example"}}}}}
	repository := []string{"repository"}
	for _, tc := range []struct {
		right policy.Right
		want  rightView
	}{
		{policy.Right{Types: repository, Repositories: []string{"a/**", "b"}, Actions: []string{"pull", "push"}}, rightView{What: "a/**, b", Actions: "pull, push"}},
		{policy.Right{Types: repository, Repositories: []string{"a"}, Actions: []string{"*"}, Conditional: true}, rightView{What: "a", Actions: "everything", Sometimes: true}},
		{policy.Right{Types: repository, Services: []string{"registry", "lab-*"}, Repositories: []string{"a"}, Actions: []string{"pull"}}, rightView{What: "a", Where: "registry.corp.example, lab-*", Actions: "pull"}},
		{policy.Right{Types: []string{"registry"}, Repositories: []string{"catalog"}, Actions: []string{"*"}}, rightView{What: "registry: catalog", Actions: "everything"}},
	} {
		if got := p.viewRightList(english, []policy.Right{tc.right}); got[0] != tc.want {
			t.Errorf("%+v: %+v, want %+v", tc.right, got[0], tc.want)
		}
	}
	if got := p.viewRights(english, policy.Rights{}); got != nil {
		t.Errorf("no rights: %+v, want nil", got)
	}
}
