package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"shorepass/registry"
)

// placeholderFault says why a placeholder of the rule cannot be filled, and is
// empty if all can. If one group cannot fill {group}, the others do, unless strict is
// set, as it is for a deny rule.
func (d *decider) placeholderFault(r *rule, groups *membership, strict bool) string {
	if r.needsUser && !d.identity.userCanFill {
		if d.identity.anonymous {
			return "{user}: there is none without credentials"
		}
		return "{user}: " + notComponent(d.identity.user)
	}
	for _, slot := range r.needsClaims {
		if fault := d.fillClaim(slot); fault != "" {
			return fault
		}
	}
	if r.needsGroup && (strict || !groups.canFill(r)) {
		if g := groups.unfillableFor(r); g != nil {
			return "{group}: " + notComponent(g.name)
		}
	}
	return ""
}

// canFill reports whether some group that the rule's own entries match can fill
// {group}.
func (m *membership) canFill(r *rule) bool {
	return slices.ContainsFunc(m.fillable, func(g group) bool { return g.entries.intersects(&r.groups) })
}

// unfillableFor returns a group that the rule's own entries match and that
// cannot fill {group}, or nil.
func (m *membership) unfillableFor(r *rule) *group {
	for i := range m.unfillable {
		if m.unfillable[i].entries.intersects(&r.groups) {
			return &m.unfillable[i]
		}
	}
	return nil
}

// mightCover reports whether a pattern covers the requested name if each
// placeholder that cannot be filled is any one component, as "*" is. A deny
// rule that fails matches by this. An allow rule that fails is reported only
// where it might have matched, and not with every request. strict is as for
// placeholderFault.
func (d *decider) mightCover(r *rule, p *pattern, groups *membership, strict bool) bool {
	anyGroup := !groups.canFill(r) || groups.all && r.namesGroups || strict && groups.unfillableFor(r) != nil
	loose := *p
	loose.glob = slices.Clone(p.glob)
	for i, t := range p.glob {
		if t.kind == userName && !d.identity.userCanFill ||
			t.kind == claimValue && d.fillClaim(t.slot) != "" ||
			t.kind == groupName && anyGroup {
			loose.glob[i] = token{kind: star}
		}
	}
	loose.needsGroup = loose.has(groupName)
	return d.covers(r, &loose, groups)
}

// covers reports whether a pattern covers the requested name, filled with any
// of the groups. Every other placeholder can be filled.
func (d *decider) covers(r *rule, p *pattern, groups *membership) bool {
	d.values.user = d.identity.userText
	if !p.needsGroup {
		return p.match(d.scope.Name, &d.values)
	}
	if !p.wholeGroup {
		return d.coversWith(groups.fillable, r, p)
	}
	for part := range strings.SplitSeq(d.scope.Name, "/") {
		if d.coversWith(groups.withText(part), r, p) {
			return true
		}
	}
	return false
}

// coversWith is covers with {group} filled from groups.
func (d *decider) coversWith(groups []group, r *rule, p *pattern) bool {
	for i := range groups {
		d.values.group = groups[i].text
		if groups[i].entries.intersects(&r.groups) && p.match(d.scope.Name, &d.values) {
			return true
		}
	}
	return false
}

// fillClaim looks up a claim for its placeholder, once in a decision. It
// returns why the claim cannot fill it, or nothing.
func (d *decider) fillClaim(slot int) string {
	if d.claims == nil {
		d.claims = make([]claimFill, len(d.policy.claims))
		d.values.claims = make([]string, len(d.policy.claims))
	}
	c := &d.claims[slot]
	if c.done {
		return c.fault
	}
	c.done = true
	path := d.policy.claims[slot]
	text, problem := "", "there is none without credentials"
	if !d.req.Anonymous {
		text, problem = claimText(d.req.Claims, path)
	}
	switch {
	case problem != "":
		c.fault = fmt.Sprintf("{claims.%s}: %s", path, problem)
	case !registry.IsComponent(text):
		c.fault = fmt.Sprintf("{claims.%s}: %s", path, notComponent(text))
	default:
		d.values.claims[slot] = text
	}
	return c.fault
}

// claimText returns the claim at a dotted path, which must be a text or a whole
// number, or what is wrong with it.
func claimText(claims map[string]any, path string) (text, problem string) {
	value, ok := claimPath(strings.Split(path, ".")).lookUp(claims)
	if !ok {
		return "", "there is no such claim"
	}
	switch v := value.(type) {
	case string:
		return v, ""
	case json.Number:
		return v.String(), ""
	case int:
		return strconv.Itoa(v), ""
	case int64:
		return strconv.FormatInt(v, 10), ""
	case float64:
		if n := int64(v); float64(n) == v && n < 1<<53 && n > -1<<53 {
			return strconv.FormatInt(n, 10), ""
		}
	}
	return "", "the claim is neither a text nor a whole number"
}

// claimPath is the path to a claim in nested objects, one name within the
// other. A name may have a dot, as "kubernetes.io" in
// claims["kubernetes.io"].namespace.
type claimPath []string

// String returns the path with dots between the names.
func (p claimPath) String() string { return strings.Join(p, ".") }

// lookUp returns the claim at the path, and whether there is one.
func (p claimPath) lookUp(claims map[string]any) (any, bool) {
	var value any = claims
	for _, name := range p {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = object[name]; !ok {
			return nil, false
		}
	}
	return value, true
}

// notComponent says that a value cannot fill a placeholder. The value is quoted
// and truncated, since it is the person's and goes to the audit line.
func notComponent(value string) string {
	return fmt.Sprintf("%q is not one component of a repository's path", truncate(value, 64))
}

// truncate cuts a text off after limit bytes.
func truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
