package session

import (
	"strings"

	"shorepass/providers"
)

// Kind says what a token of ours is for. It is part of what is hashed, so that
// a token of one kind is never good as another.
type Kind string

const (
	KindRefresh Kind = "refresh" // sp_r_, from a login that asked for an offline token
	KindPAT     Kind = "pat"     // sp_p_, a personal access token
	KindRobot   Kind = "robot"   // sp_b_, a robot's token
)

// Recognize reports whether a secret begins like one of our tokens, good or
// mangled, and so must go nowhere but to [Sessions.Redeem].
func Recognize(secret providers.Secret) bool {
	return strings.HasPrefix(secret.Reveal(), "sp_")
}
