package oidc

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"shorepass/providers"
)

// claimMapper maps claims to an identity, as configured. It is safe for
// concurrent use.
type claimMapper struct {
	cfg    Config
	user   claimPath
	groups claimPath    // empty: identities have no groups
	graph  *graphGroups // nil: not asked
	namer  *providers.GroupNamer

	log    *logger
	warned sync.Map // by kind of problem, so that each is logged once
}

// newClaimMapper parses the configured paths.
func newClaimMapper(cfg Config, log *logger) (*claimMapper, error) {
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
	return &claimMapper{cfg: cfg, user: user, groups: groups, namer: cfg.Groups.Compile(cfg.IgnoreCase, nil), log: log}, nil
}

// paths returns the configured claims.
func (m *claimMapper) paths() []claimPath {
	paths := []claimPath{m.user}
	if len(m.groups) > 0 {
		paths = append(paths, m.groups)
	}
	for _, name := range slices.Concat(m.cfg.Subject, m.cfg.Claims) {
		paths = append(paths, claimPath{name})
	}
	return paths
}

// lacksClaim reports whether a configured claim is in none of sets. Where Microsoft
// Graph is asked, the groups need not be.
func (m *claimMapper) lacksClaim(sets claimSets) bool {
	return slices.ContainsFunc(m.paths(), func(path claimPath) bool {
		_, _, ok := sets.find(path)
		return !ok && (m.graph == nil || !slices.Equal(path, m.groups))
	})
}

// identity returns the identity in sets. It rejects a person without a valid
// subject and user name, or without the groups claim (see groupNames).
func (m *claimMapper) identity(ctx context.Context, sets claimSets) (*providers.Identity, error) {
	subject, err := m.subject(sets)
	if err != nil {
		return nil, err
	}
	user, err := m.userName(sets)
	if err != nil {
		return nil, err
	}
	groups, unsure, err := m.groupNames(ctx, sets)
	if err != nil {
		return nil, err
	}
	return &providers.Identity{
		Provider:  m.cfg.Name,
		Subject:   subject,
		User:      user,
		Groups:    groups,
		Unsure:    unsure,
		FoldsCase: m.cfg.IgnoreCase,
		Claims:    m.ruleClaims(sets),
		AuthTime:  m.authTime(sets),
	}, nil
}

// subject returns the Identity.Subject. Several claims are escaped and joined, so
// that different lists of values give different texts.
func (m *claimMapper) subject(sets claimSets) (string, error) {
	var parts []string
	for _, name := range m.cfg.Subject {
		_, value, ok := sets.find(claimPath{name})
		if !ok {
			return "", m.missingClaim(claimPath{name}, sets, "subject")
		}
		text, ok := value.(string)
		if !ok {
			return "", reject("the claim %q is not a text, so it cannot be a subject", name)
		}
		if problem := providers.TextProblem(text); problem != "" {
			return "", reject("the claim %q cannot be a subject: it %s", name, problem)
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

func (m *claimMapper) userName(sets claimSets) (string, error) {
	set, value, ok := sets.find(m.user)
	if !ok {
		return "", m.missingClaim(m.user, sets, "users.claim")
	}
	name, ok := value.(string)
	if !ok {
		return "", reject("the claim %q is not a text, so it cannot be a user name", m.user)
	}
	if slices.Equal(m.user, claimPath{"email"}) {
		if err := set.checkEmail(); err != nil {
			return "", err
		}
	}
	return providers.UserName(name, m.cfg.IgnoreCase)
}

// groupNames returns the groups of a person, and the unsure ones. The error is that of
// findGroups.
func (m *claimMapper) groupNames(ctx context.Context, sets claimSets) (groups, unsure []string, err error) {
	if len(m.groups) == 0 {
		return nil, nil, nil
	}
	found, incomplete, err := m.findGroups(ctx, sets)
	if err != nil {
		return nil, nil, err
	}
	groups, unsure, problems := m.namer.Names(found)
	switch {
	case incomplete != "":
		m.warn(incomplete, incomplete)
		unsure = []string{providers.UnsureAll}
	case len(problems) > 0:
		m.warn("a name", problems[0])
		unsure = []string{providers.UnsureAll}
	}
	return groups, unsure, nil
}

const (
	groupsElsewhere  = "the person is in too many groups: the provider sends a reference to the rest, which shorepass does not fetch; have the provider send only the groups that rules name"
	groupsObstructed = "the path leads through something that is not an object"
)

// findGroups returns the groups in the claims or, where these lack them or rules need
// their names, those that Microsoft Graph has. incomplete is why some may be missing,
// "" if none is. A missing claim means no groups only if groups.optional is set and
// there is no overage; else the error is a rejection. Other errors are those of
// graphGroups.find.
func (m *claimMapper) findGroups(ctx context.Context, sets claimSets) (found []providers.FoundGroup, incomplete string, err error) {
	_, value, ok := sets.find(m.groups)
	overage := sets.overage(m.groups)
	if m.graph != nil && (m.graph.byName || overage || !ok && !m.cfg.Groups.Optional) {
		found, problem, err := m.graph.find(ctx, sets)
		return found, string(problem), err
	}
	if !ok && !overage && !m.cfg.Groups.Optional {
		return nil, "", m.missingClaim(m.groups, sets, "groups.claim and groups.optional")
	}
	if ok {
		found = m.cfg.Groups.Read(value)
	}
	switch {
	case overage:
		incomplete = groupsElsewhere
	case !ok && sets.obstructed(m.groups):
		incomplete = groupsObstructed
	case m.graph != nil && m.graph.namesOthers(found):
		incomplete = string(graphOtherNames)
	}
	return found, incomplete, nil
}

// warn logs, once for each kind of problem, why the groups of a person are incomplete.
func (m *claimMapper) warn(kind, problem string) {
	if _, warned := m.warned.LoadOrStore(kind, true); !warned {
		m.log.get().Warn("some groups of a person are not known, so rules that deny a group deny this person", "claim", m.groups.String(), "problem", problem)
	}
}

// ruleClaims returns the claims that rules can use, without an e-mail address
// that is not verified.
func (m *claimMapper) ruleClaims(sets claimSets) map[string]any {
	selected := map[string]any{}
	for _, name := range m.cfg.Claims {
		set, value, ok := sets.find(claimPath{name})
		if !ok || name == "email" && set.checkEmail() != nil {
			continue
		}
		selected[name] = value
	}
	return selected
}

// authTime returns when the person last authenticated: auth_time if the provider
// sends it, else now.
func (m *claimMapper) authTime(sets claimSets) time.Time {
	for _, set := range sets {
		if at, ok := set.authTime(); ok {
			return at
		}
	}
	return time.Now()
}

// authTime returns the auth_time claim, a number or its text, and whether it is there. One
// in the future counts as missing.
func (c claimSet) authTime() (time.Time, bool) {
	if text, ok := c["auth_time"].(string); ok {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return time.Time{}, false
		}
		c = claimSet{"auth_time": seconds}
	}
	at, ok, err := c.numericDate("auth_time")
	if err != nil || !ok || !at.Before(time.Now()) {
		return time.Time{}, false
	}
	return at, true
}
