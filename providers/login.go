package providers

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Login is the text of a login name: as it was typed, in Unicode normal form C, without
// blanks around it. It is the name that a provider looks up, and part of the keys of the
// password cache and the single-flight. After authentication [Identity.User] counts, which
// comes from the provider.
type Login string

// ErrMalformedLogin says that a login name holds a control character, is not
// UTF-8, or is longer than a name can be. The client gets 400.
var ErrMalformedLogin = errors.New("the user name is malformed")

// maxLogin bounds a login name, in bytes before normalization. An e-mail
// address has at most 254 (RFC 5321, section 4.5.3.1.3).
const maxLogin = 512

// ParseLogin returns the text of a login name as it was typed. The empty name is no error:
// its meaning depends on the secret that comes with it.
func ParseLogin(typed string) (Login, error) {
	if len(typed) > maxLogin || !utf8.ValidString(typed) {
		return "", ErrMalformedLogin
	}
	name := strings.TrimFunc(norm.NFC.String(typed), unicode.IsSpace)
	// Format characters (category Cf: zero width space, direction marks) are
	// invisible, so two names that look alike would be two accounts.
	if strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		return "", ErrMalformedLogin
	}
	return Login(name), nil
}

// Key returns the key of a login name: NFKC, case folded, without accents, blanks and
// invisible characters, which some directories and databases ignore when they compare
// names (RFC 4518, sections 2.2 and 2.6.1; MySQL; Active Directory). Names of one key share
// their counters of wrong passwords; match, domains and reserved names are compared by it.
// Nothing else is: two names of one key may be two accounts.
func (l Login) Key() string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.White_Space, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, norm.NFKD.String(FoldCase(string(l))))
}

// cutDomain splits a key into the name and the domain before its first backslash or after
// its last @. Where found is false, name is the whole key.
func cutDomain(key string) (name, domain string, found bool) {
	if domain, name, found = strings.Cut(key, `\`); !found {
		at := strings.LastIndexByte(key, '@')
		if at < 0 {
			return key, "", false
		}
		name, domain = key[:at], key[at+1:]
	}
	if name == "" || domain == "" {
		return key, "", false
	}
	return name, domain, true
}

// bareKey returns the key of a login name without a configured domain, so that
// "CORP\bob", "bob@corp.example" and "bob" have one name window, whether they exist or not.
func (c *Chain) bareKey(login Login) string {
	key := login.Key()
	if name, domain, _ := cutDomain(key); c.domains[domain] {
		return name
	}
	return key
}

// WindowNames returns the names under which the throttle may have a window of a login
// name, whichever domains are configured.
func (l Login) WindowNames() []string {
	key := l.Key()
	if name, _, found := cutDomain(key); found {
		return []string{key, name}
	}
	return []string{key}
}

// domainsOf returns the configured domains of all members. Domains that only a directory
// itself knows are not among them: a name window must not depend on its answer.
func domainsOf(members []*member) map[string]bool {
	all := make(map[string]bool)
	for _, m := range members {
		if m.domains == nil {
			continue
		}
		for _, domain := range m.domains.Domains() {
			all[Login(domain).Key()] = true
		}
	}
	return all
}

// FoldCase returns a name in NFKC and case folded, for a provider that ignores case and
// compares names itself. The folded text is made lower case once more, since x/text folds
// Cherokee letters of either case into the other.
func FoldCase(name string) string {
	if isASCII(name) {
		return strings.ToLower(name) // the same, and most names
	}
	return foldUnicode(name)
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}

func foldUnicode(name string) string {
	return norm.NFKC.String(strings.ToLower(cases.Fold().String(norm.NFKC.String(name))))
}

// Reserved reports whether the name is one that tools make up, such as "<token>", "$oidc"
// or "oauth2accesstoken", and never a name at a provider.
func (l Login) Reserved() bool {
	key := l.Key()
	return strings.HasPrefix(key, "$") || strings.HasPrefix(key, "<") || key == "oauth2accesstoken"
}
