package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	strictjson "github.com/go-jose/go-jose/v4/json" // refuses repeated names, and tells names apart by case

	"shorepass/providers"
)

// maxName bounds a user or group name, in bytes.
const maxName = 512

// document is a set of claims as one answer of the provider had them: an ID
// token's or userinfo's. Texts, bools, int64 and float64 numbers, lists and
// objects are what it holds.
type document map[string]any

// decodeClaims reads a JSON object strictly: each name once at every depth, and
// no name that only looks like one of watched. "SUB", and "ſub" with U+017F,
// are what a decoder that folds case would take for "sub".
func decodeClaims(payload []byte, watched []string) (document, error) {
	// Valid, unlike the decoder below, bounds the depth. Bytes that are not
	// UTF-8 would all be decoded to one and the same character.
	if !utf8.Valid(payload) || !json.Valid(payload) {
		return nil, errors.New("its claims are not JSON")
	}
	var claims document
	decoder := strictjson.NewDecoder(strings.NewReader(string(payload)))
	decoder.SetNumberType(strictjson.UnmarshalIntOrFloat)
	if err := decoder.Decode(&claims); err != nil {
		return nil, fmt.Errorf("its claims are not a JSON object with each name once: %w", brief(err))
	}
	if claims == nil {
		return nil, errors.New("its claims are not a JSON object")
	}
	for name := range claims {
		for _, meant := range watched {
			if name != meant && strings.EqualFold(name, meant) {
				return nil, fmt.Errorf("its claim %q only looks like %q", name, meant)
			}
		}
	}
	return claims, nil
}

// registered are the claims that are looked at whatever the config says.
var registered = []string{
	"iss", "sub", "aud", "azp", "exp", "nbf", "iat", "auth_time",
	"email", "email_verified", "typ", "scope", "scp", "token_use", "events", "_claim_names",
}

// watchedClaims returns the top-level names that nothing may be mistaken for.
func watchedClaims(cfg Config, user, groups claimPath) []string {
	watched := slices.Concat(registered, cfg.Claims, cfg.Subject, user[:1])
	if len(groups) > 0 {
		watched = append(watched, groups[0])
	}
	slices.Sort(watched)
	return slices.Compact(watched)
}

// documents are what the provider said of one person, the best first: the ID
// token's claims, userinfo's.
type documents []document

// find returns the first document that has path, and what is there.
func (d documents) find(path claimPath) (document, any, bool) {
	for _, doc := range d {
		if value, ok := path.in(doc); ok && value != nil {
			return doc, value, true
		}
	}
	return nil, nil, false
}

// missing explains that a configured claim is not there.
func (d documents) missing(path claimPath) error {
	if d.distributed(path) {
		return fmt.Errorf("%w: the claim %q is kept elsewhere (too many groups?), and distributed claims are not followed", providers.ErrRejected, path)
	}
	return fmt.Errorf("%w: the claim %q is missing", providers.ErrRejected, path)
}

// lacks reports whether a claim that the config names is in none of them.
func (p *Provider) lacks(docs documents) bool {
	paths := []claimPath{p.user}
	if len(p.groups) > 0 {
		paths = append(paths, p.groups)
	}
	for _, name := range slices.Concat(p.cfg.Subject, p.cfg.Claims) {
		paths = append(paths, claimPath{name})
	}
	return slices.ContainsFunc(paths, func(path claimPath) bool {
		_, _, ok := docs.find(path)
		return !ok
	})
}

// identity makes an identity of what the provider said. A claim that is
// configured and missing, or is not of its kind, rejects.
func (p *Provider) identity(docs documents) (*providers.Identity, error) {
	subject, err := p.subject(docs)
	if err != nil {
		return nil, err
	}
	user, err := p.userName(docs)
	if err != nil {
		return nil, err
	}
	groups, err := p.groupNames(docs)
	if err != nil {
		return nil, err
	}
	return &providers.Identity{
		Provider: p.cfg.Name,
		Subject:  subject,
		User:     user,
		Groups:   groups,
		Claims:   p.keptClaims(docs),
		AuthTime: p.authTime(docs),
	}, nil
}

// subject returns what a person is known by. Several claims are joined so that
// no two lists of values give one text.
func (p *Provider) subject(docs documents) (string, error) {
	var parts []string
	for _, name := range p.cfg.Subject {
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

func (p *Provider) userName(docs documents) (string, error) {
	doc, value, ok := docs.find(p.user)
	if !ok {
		return "", docs.missing(p.user)
	}
	name, ok := value.(string)
	if !ok || !printable(name) {
		return "", fmt.Errorf("%w: the claim %q is not text that can be a user name", providers.ErrRejected, p.user)
	}
	if slices.Equal(p.user, claimPath{"email"}) {
		if err := doc.checkEmail(); err != nil {
			return "", err
		}
	}
	if p.cfg.IgnoreCase {
		name = strings.ToLower(name)
	}
	return name, nil
}

// checkEmail says whether the email claim counts: it is one address, and this
// very document calls it verified. Anybody can write any other into a profile.
func (d document) checkEmail() error {
	email, _ := d["email"].(string)
	local, domain, _ := strings.Cut(email, "@")
	if local == "" || domain == "" || strings.Contains(domain, "@") || strings.ContainsFunc(email, unicode.IsSpace) {
		return fmt.Errorf("%w: the claim \"email\" is not one address", providers.ErrRejected)
	}
	if verified, _ := d["email_verified"].(bool); !verified {
		return fmt.Errorf("%w: the claim \"email\" is not verified", providers.ErrRejected)
	}
	return nil
}

func (p *Provider) groupNames(docs documents) ([]string, error) {
	if len(p.groups) == 0 {
		return nil, nil
	}
	_, value, ok := docs.find(p.groups)
	if !ok && p.cfg.Groups.Optional && !docs.distributed(p.groups) {
		return nil, nil
	}
	if !ok {
		return nil, docs.missing(p.groups)
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	groups := make([]string, 0, len(list))
	for _, value := range list {
		name, ok := value.(string)
		if !ok || !printable(name) {
			return nil, fmt.Errorf("%w: the claim %q holds something that is not a group name", providers.ErrRejected, p.groups)
		}
		if p.cfg.IgnoreCase {
			name = strings.ToLower(name)
		}
		groups = append(groups, name)
	}
	groups = p.cfg.Groups.Apply(groups)
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

// distributed reports whether the provider says that the claim is to be had
// elsewhere (OpenID Connect Core 1.0, section 5.6.2): it is not empty then,
// only out of sight.
func (d documents) distributed(path claimPath) bool {
	return slices.ContainsFunc(d, func(doc document) bool {
		names, _ := doc["_claim_names"].(map[string]any)
		return names[path[0]] != nil
	})
}

// keptClaims returns the claims that rules may look at. An e-mail address that
// is not verified is not among them.
func (p *Provider) keptClaims(docs documents) map[string]any {
	kept := map[string]any{}
	for _, name := range p.cfg.Claims {
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
func (p *Provider) authTime(docs documents) time.Time {
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
