package providers

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Login is the name that somebody typed, in normal form: NFKC, case folded,
// without blanks around it. Throttles, memories, match and a provider's lookup
// see it, and nothing else: everything after authentication uses
// [Identity.User], which the provider found.
type Login string

// ErrMalformedLogin says that a login name holds a control character, is not
// UTF-8, or is longer than a name can be. The client gets 400.
var ErrMalformedLogin = errors.New("the user name is malformed")

// maxLogin bounds a login name, in bytes before normalization. An e-mail
// address has at most 254 (RFC 5321, section 4.5.3.1.3).
const maxLogin = 512

// ParseLogin normalizes what was typed. The empty name is not an error here:
// what it means depends on the secret with it.
func ParseLogin(typed string) (Login, error) {
	if len(typed) > maxLogin || !utf8.ValidString(typed) {
		return "", ErrMalformedLogin
	}
	name := foldLogin(typed)
	// Format characters (category Cf: zero width space, direction marks) are
	// invisible, so two names that look alike would be two counters.
	if strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		return "", ErrMalformedLogin
	}
	return Login(name), nil
}

// foldLogin is the normal form: NFKC, case folded, without blanks around it.
// The folded text is made lower case once more, since x/text folds Cherokee
// letters of either case into the other and so would keep two names of one.
func foldLogin(name string) string {
	name = norm.NFKC.String(strings.ToLower(cases.Fold().String(norm.NFKC.String(name))))
	return strings.TrimFunc(name, unicode.IsSpace)
}

// skeleton is what is left of a name when all is taken away that some
// directories and databases overlook when they compare names: accents (MySQL,
// Active Directory), blanks (RFC 4518, section 2.6.1), and characters that are
// not seen (RFC 4518, section 2.2). Spellings of one skeleton are counted as
// one account where no provider says whose they are, and are told apart
// everywhere else.
func (l Login) skeleton() string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Mn, unicode.Me, unicode.White_Space, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, norm.NFKD.String(string(l)))
}

// Reserved reports whether the name is one that tools make up, such as
// "<token>", "$oidc" or "oauth2accesstoken", and so never anybody's name at a
// provider.
func (l Login) Reserved() bool {
	return strings.HasPrefix(string(l), "$") || strings.HasPrefix(string(l), "<") || l == "oauth2accesstoken"
}
