package session

// SignInChange is an update of a sign-in, which a store writes in one transaction.
type SignInChange struct {
	SignIn   SignIn          // the new columns
	Identity *StoredIdentity // nil if it is unchanged
	Sealed   []byte          // the provider's refresh token; nil if it is unchanged
	Adopting []string        // live sessions with one of these stamps get SignIn.Stamp
}

// Change returns the update of a sign-in at the login, or of the zero SignIn at a
// first login.
func (d *Draft) Change(s SignIn) SignInChange {
	return s.changeTo(d.Next(s), &d.Identity, d.Sealed)
}

// Change returns the update of a sign-in at the answer.
func (a *AnswerUpdate) Change(s SignIn) SignInChange {
	return s.changeTo(a.Next(s), a.Identity, a.Sealed)
}

// changeTo returns the update of s to after. The identity is part of it if its
// Version changed, the refresh token if its TokenVersion changed.
func (s SignIn) changeTo(after SignIn, identity *StoredIdentity, sealed []byte) SignInChange {
	change := SignInChange{SignIn: after, Adopting: s.Adopts(after)}
	if after.Version != s.Version {
		change.Identity = identity
	}
	if after.TokenVersion != s.TokenVersion {
		change.Sealed = sealed
	}
	return change
}
