package oidc

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"shorepass/providers"
)

// maxName bounds a user or group name, in bytes.
const maxName = 512

// mapping maps claims to an identity, as the config says.
type mapping struct {
	cfg    Config
	user   claimPath
	groups claimPath // empty: identities have no groups
}

func newMapping(cfg Config) (*mapping, error) {
	user, err := parsePath(cfg.Users.Claim)
	if err != nil {
		return nil, fmt.Errorf("users.claim: %w", err)
	}
	var groups claimPath
	if cfg.Groups.Claim != "" {
		if groups, err = parsePath(cfg.Groups.Claim); err != nil {
			return nil, fmt.Errorf("groups.claim: %w", err)
		}
	}
	return &mapping{cfg, user, groups}, nil
}

// paths returns the claims that the config names.
func (m *mapping) paths() []claimPath {
	paths := []claimPath{m.user}
	if len(m.groups) > 0 {
		paths = append(paths, m.groups)
	}
	for _, name := range slices.Concat(m.cfg.Subject, m.cfg.Claims) {
		paths = append(paths, claimPath{name})
	}
	return paths
}

// watched returns the top-level names that nothing may be mistaken for.
func (m *mapping) watched() []string {
	names := slices.Clone(registered)
	for _, path := range m.paths() {
		names = append(names, path[0])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// lacks reports whether a claim that the config names is in none of docs.
func (m *mapping) lacks(docs documents) bool {
	return slices.ContainsFunc(m.paths(), func(path claimPath) bool {
		_, _, ok := docs.find(path)
		return !ok
	})
}

// identity makes an identity of what the provider said. A claim that is
// configured and missing, or is not of its kind, rejects.
func (m *mapping) identity(docs documents) (*providers.Identity, error) {
	subject, err := m.subject(docs)
	if err != nil {
		return nil, err
	}
	user, err := m.userName(docs)
	if err != nil {
		return nil, err
	}
	groups, err := m.groupNames(docs)
	if err != nil {
		return nil, err
	}
	return &providers.Identity{
		Provider: m.cfg.Name,
		Subject:  subject,
		User:     user,
		Groups:   groups,
		Claims:   m.keptClaims(docs),
		AuthTime: m.authTime(docs),
	}, nil
}

// subject returns what a person is known by. Several claims are joined so that
// no two lists of values give one text.
func (m *mapping) subject(docs documents) (string, error) {
	var parts []string
	for _, name := range m.cfg.Subject {
		_, value, ok := docs.find(claimPath{name})
		if !ok {
			return "", docs.missing(claimPath{name})
		}
		text, ok := value.(string)
		if !ok || !printable(text) {
			return "", fmt.Errorf("%w: the claim %q is not text that a person can be known by", providers.ErrRejected, name)
		}
		parts = append(parts, text)
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	escape := strings.NewReplacer("%", "%25", ":", "%3A")
	for i, part := range parts {
		parts[i] = escape.Replace(part)
	}
	return strings.Join(parts, ":"), nil
}

func (m *mapping) userName(docs documents) (string, error) {
	doc, value, ok := docs.find(m.user)
	if !ok {
		return "", docs.missing(m.user)
	}
	name, ok := value.(string)
	if !ok || !printable(name) {
		return "", fmt.Errorf("%w: the claim %q is not text that can be a user name", providers.ErrRejected, m.user)
	}
	if slices.Equal(m.user, claimPath{"email"}) {
		if err := doc.checkEmail(); err != nil {
			return "", err
		}
	}
	if m.cfg.IgnoreCase {
		name = strings.ToLower(name)
	}
	return name, nil
}

func (m *mapping) groupNames(docs documents) ([]string, error) {
	if len(m.groups) == 0 {
		return nil, nil
	}
	_, value, ok := docs.find(m.groups)
	if !ok && m.cfg.Groups.Optional && !docs.distributed(m.groups) {
		return nil, nil
	}
	if !ok {
		return nil, docs.missing(m.groups)
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	groups := make([]string, 0, len(list))
	for _, value := range list {
		name, ok := value.(string)
		if !ok || !printable(name) {
			return nil, fmt.Errorf("%w: the claim %q holds something that is not a group name", providers.ErrRejected, m.groups)
		}
		if m.cfg.IgnoreCase {
			name = strings.ToLower(name)
		}
		groups = append(groups, name)
	}
	groups = m.cfg.Groups.Apply(groups)
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

// keptClaims returns the claims that rules may look at. An e-mail address that
// is not verified is not among them.
func (m *mapping) keptClaims(docs documents) map[string]any {
	kept := map[string]any{}
	for _, name := range m.cfg.Claims {
		doc, value, ok := docs.find(claimPath{name})
		if !ok || name == "email" && doc.checkEmail() != nil {
			continue
		}
		kept[name] = value
	}
	return kept
}

// authTime returns when the person last proved who they are: auth_time where
// the provider says it, else now.
func (m *mapping) authTime(docs documents) time.Time {
	now := time.Now()
	for _, doc := range docs {
		if at, ok, err := doc.time("auth_time"); err == nil && ok && at.Before(now) {
			return at
		}
	}
	return now
}

// printable reports whether a text can be a name: not empty, no blanks around
// it, nothing in it that is not seen: "bob" and "bob\u200b" would be two people
// in the rules and one on the screen. U+FFFD stands for what could not be
// decoded, and so for more than one name.
func printable(name string) bool {
	return name != "" && len(name) <= maxName && strings.TrimSpace(name) == name &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
		})
}
