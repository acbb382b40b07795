package providers

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// inspectable is a directory that can be asked without a password.
type inspectable struct {
	*directory
	answer func(Login) (*Inspection, error)
}

func (d inspectable) Inspect(_ context.Context, login Login) (*Inspection, error) {
	return d.answer(login)
}

// TestInspectAsksInOrder (F4): explain --live asks the providers that a password login
// would ask, up to the first that does not answer ErrNotMine, and sends no secret.
func TestInspectAsksInOrder(t *testing.T) {
	answers := func(err error) func(Login) (*Inspection, error) {
		return func(Login) (*Inspection, error) { return nil, err }
	}
	bob := func(Login) (*Inspection, error) {
		return &Inspection{DN: "uid=bob", Identity: &Identity{Subject: "1", User: "bob"}}, nil
	}
	one, two := Config{Name: "one", Prefix: pointer("a:")}, Config{Name: "two", Prefix: pointer("b:")}
	narrow := Config{Name: "one", Prefix: pointer("a:"), Match: []string{"*@one.example"}}
	for _, test := range []struct {
		name          string
		login         Login
		first, second Member
		want          []InspectAnswer
		user          string
		unavailable   bool
	}{
		{"mine", "bob", Member{inspectable{&directory{}, bob}, one}, Member{inspectable{&directory{}, bob}, two}, []InspectAnswer{AnswerAccount}, "a:bob", false},
		{"not mine", "bob", Member{inspectable{&directory{}, answers(ErrNotMine)}, one}, Member{inspectable{&directory{}, bob}, two}, []InspectAnswer{AnswerNotMine, AnswerAccount}, "b:bob", false},
		{"nobody's", "bob", Member{inspectable{&directory{}, answers(ErrNotMine)}, one}, Member{inspectable{&directory{}, answers(ErrNotMine)}, two}, []InspectAnswer{AnswerNotMine, AnswerNotMine}, "", false},
		{"two entries", "bob", Member{inspectable{&directory{}, answers(Reject(Ambiguous, errors.New("two")))}, one}, Member{inspectable{&directory{}, bob}, two}, []InspectAnswer{AnswerRefused}, "", false},
		{"unavailable", "bob", Member{inspectable{&directory{}, answers(errors.New("refused"))}, one}, Member{inspectable{&directory{}, bob}, two}, []InspectAnswer{AnswerUnavailable}, "", true},
		{"only by a login of its own", "bob", Member{inspectable{&directory{}, answers(fmt.Errorf("%w: set bind_dn", ErrCannotInspect))}, one}, Member{inspectable{&directory{}, bob}, two}, []InspectAnswer{AnswerNotKnown}, "", false},
		{"no inspector", "bob", Member{&directory{}, one}, Member{inspectable{&directory{}, bob}, two}, []InspectAnswer{AnswerNotKnown}, "", false},
		{"match", "bob", Member{inspectable{&directory{}, bob}, narrow}, Member{inspectable{&directory{}, bob}, two}, []InspectAnswer{AnswerNotAsked, AnswerAccount}, "b:bob", false},
		{"no passwords", "bob", Member{inspectable{&directory{takes: []Kind{IDToken}}, bob}, one}, Member{inspectable{&directory{}, bob}, two}, []InspectAnswer{AnswerNotAsked, AnswerAccount}, "b:bob", false},
		{"a name of tools", "<token>", Member{inspectable{&directory{}, bob}, one}, Member{inspectable{&directory{}, bob}, two}, []InspectAnswer{AnswerNotAsked, AnswerNotAsked}, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := chainOf(t, newThrottle(t), test.first, test.second)
			result, err := c.Inspect(t.Context(), test.login, MethodPassword)
			if errors.Is(err, ErrUnavailable) != test.unavailable {
				t.Errorf("Inspect = %v, want unavailable: %t", err, test.unavailable)
			}
			var got []InspectAnswer
			for _, asked := range result.Asked {
				got = append(got, asked.Answer)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("answers (-want +got)\n%s", diff)
			}
			user := ""
			if result.Account != nil {
				user = result.Account.User
			}
			if user != test.user {
				t.Errorf("user = %q, want %q", user, test.user)
			}
		})
	}
}

// TestInspectShowsEachGroup (F4): what becomes of each group, and which identity the rules
// see, which is that of a login.
func TestInspectShowsEachGroup(t *testing.T) {
	namer := GroupNames{Only: []string{"team-*", "admins", "gh:*", "auth*", "odd\x01"}, Rename: map[string]string{"team-a": "a"}}.Compile(true, nil)
	found := []FoundGroup{
		{Name: "Team-A", ID: "cn=team-a"}, {Name: "other"}, {Name: "admins", Unsure: true}, {Name: "gh:x"}, {Name: "authenticated"}, {Name: "odd\x01"},
	}
	groups, unsure, _ := namer.Names(found)
	corp := inspectable{&directory{}, func(Login) (*Inspection, error) {
		return &Inspection{
			DN: "uid=bob", Groups: found, Namer: namer, Notes: []string{"a note"},
			Refusals: []Refusal{{Reason: Disabled, Text: "disabled (x)", EndsSessions: true}},
			Identity: &Identity{Subject: "1", User: "bob", Groups: groups, Unsure: unsure, FoldsCase: true},
		}, nil
	}}
	c := chainOf(t, newThrottle(t),
		Member{corp, Config{Name: "corp", Prefix: pointer(""), RequireGroups: []string{"ops"}}},
		Member{&directory{}, Config{Name: "gh", Prefix: pointer("gh:")}})
	result, err := c.Inspect(t.Context(), "bob", MethodPassword)
	if err != nil {
		t.Fatal(err)
	}
	want := &InspectedAccount{
		DN: "uid=bob", User: "bob", Subject: "1", RequireGroups: []string{"ops"}, Notes: []string{"a note"},
		Groups: []InspectedGroup{
			{Name: "Team-A", DN: "cn=team-a", Group: "a", Renamed: true},
			{Name: "other", Dropped: "groups.only leaves it out"},
			{Name: "admins", Group: "admins", Unsure: "another group has this name too, so that only deny rules apply"},
			{Name: "gh:x", Dropped: `"gh:x" begins with the prefix of another provider; give it another name with groups.rename`},
			{Name: "authenticated", Dropped: `"authenticated" is the name of a group of shorepass's own`},
			{Name: "odd\x01", Unsure: `the group "odd\x01" cannot be used in rules, since its name holds a character that is not seen; leave it out with groups.only, or give it a name with groups.rename`},
		},
		Refusals: []Refusal{
			{Reason: Disabled, Text: "disabled (x)", EndsSessions: true},
			{Reason: RefusedByConfig, Text: `provider corp: found "bob", who is in none of the groups that require_groups names`},
		},
	}
	if diff := cmp.Diff(want, result.Account); diff != "" {
		t.Errorf("account (-want +got)\n%s", diff)
	}
	identity := &Identity{Provider: "corp", Subject: "1", User: "bob", Groups: []string{"a", "authenticated"}, Unsure: []string{UnsureAll}, FoldsCase: true, Method: MethodPassword}
	if diff := cmp.Diff(identity, result.Identity, cmpopts.IgnoreFields(Identity{}, "Fingerprint", "AuthTime", "RefreshToken")); diff != "" {
		t.Errorf("identity (-want +got)\n%s", diff)
	}
}
