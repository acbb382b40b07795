package oidc_test

import (
	"testing"

	"shorepass/providers"
	"shorepass/providers/oidc/oidctest"
	"shorepass/providers/providertest"
)

func TestContract(t *testing.T) {
	op := start(t, nil)
	left := oidctest.User{Name: "left", Password: "right pw", Subject: "u-left", Disabled: true}
	odd := oidctest.User{Name: "josé (o'brien) & söhne", Password: "pässwörd", Subject: "u-josé"}
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		for _, u := range append(people(), left, odd) {
			op.SetUser(u)
		}
		return providertest.Harness{
			Provider: newProvider(t, op.Issuer, nil),
			Accounts: []providertest.Account{
				{Logins: []string{"alice", " alice "}, Password: "alice's pass", User: "alice", Groups: []string{"devs", "ops"}},
				{Logins: []string{odd.Name}, Password: odd.Password, User: odd.Name},
			},
			Disabled:      &providertest.Account{Logins: []string{left.Name}, Password: left.Password},
			Unknown:       providers.ErrRejected, // a password grant cannot know names
			PasswordsSent: func() int { return op.Requests("token") },
			Stop:          func(t *testing.T) { op.Down(); t.Cleanup(op.Up) },
			Disable:       func(_ *testing.T, a providertest.Account) { op.Disable(a.User) },
			Delete:        func(_ *testing.T, a providertest.Account) { op.Remove(a.User) },
			ChangeGroups: func(_ *testing.T, a providertest.Account) []string {
				op.SetGroups(a.User, "moved")
				return []string{"moved"}
			},
		}
	})
}
