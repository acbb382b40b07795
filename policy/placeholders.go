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
// empty if all can. If one group, or one value of a list, cannot fill it, the others do,
// unless strict is set, as it is for a deny rule.
func (d *decider) placeholderFault(r *rule, groups *membership, strict bool) string {
	if r.needsUser && !d.identity.userCanFill {
		if d.identity.anonymous {
			return "{user}: there is none without credentials"
		}
		return "{user}: " + notComponent(d.identity.user)
	}
	for _, slot := range r.needsClaims {
		if fault := d.fillClaim(slot).whyNot(strict); fault != "" {
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
			t.kind == claimValue && d.fillClaim(t.slot).whyNot(strict) != "" ||
			t.kind == groupName && anyGroup {
			loose.glob[i] = token{kind: star}
		}
	}
	loose.needsGroup = loose.has(groupName)
	return d.covers(r, &loose, groups)
}

// covers reports whether a pattern covers the requested name, filled with any
// of the groups and any values of lists. Every other placeholder can be filled.
func (d *decider) covers(r *rule, p *pattern, groups *membership) bool {
	if d.hasLists && d.needsList(p) {
		return d.coversWithLists(r, p, groups)
	}
	d.values.user = d.identity.userText
	if !p.needsGroup {
		return p.match(d.scope.Name, &d.values)
	}
	if !p.wholeGroup {
		return d.coversWith(d.occurring(groups), r, p)
	}
	for part := range strings.SplitSeq(d.scope.Name, "/") {
		if d.coversWith(groups.withText(part), r, p) {
			return true
		}
	}
	return false
}

// occurring returns the groups that can fill {group} and whose text occurs in the
// requested name: no other can fill it there. They are looked up once a resource.
func (d *decider) occurring(groups *membership) []group {
	found := &d.occurringGroups[0]
	if groups != d.identity.sure {
		found = &d.occurringGroups[1]
	}
	if found.done {
		return found.groups
	}
	found.done, found.groups = true, found.groups[:0]
	for i := range groups.fillable {
		if g := &groups.fillable[i]; strings.Contains(d.scope.Name, g.text) {
			found.groups = append(found.groups, *g)
		}
	}
	return found.groups
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

// maxClaimValues is the length of a list above which it fills no placeholder.
const maxClaimValues = 1000

// fillClaim looks up a claim for its placeholder, once in a decision.
func (d *decider) fillClaim(slot int) *claimFill {
	if d.claims == nil {
		d.claims = make([]claimFill, len(d.policy.claims))
		d.values.claims = make([]string, len(d.policy.claims))
	}
	c := &d.claims[slot]
	if c.done {
		return c
	}
	*c = d.lookUpClaim(d.policy.claims[slot])
	if len(c.values) == 1 {
		d.values.claims[slot] = c.values[0]
	}
	d.hasLists = d.hasLists || len(c.values) > 1
	return c
}

// lookUpClaim returns what a claim fills its placeholder with.
func (d *decider) lookUpClaim(path string) claimFill {
	values, problem := []any(nil), "there is none without credentials"
	if !d.req.Anonymous {
		values, problem = claimValues(d.req.Claims, path)
	}
	c := claimFill{done: true}
	for _, value := range values {
		text, ok := claimText(value)
		switch {
		case ok && registry.IsComponent(text):
			c.values = append(c.values, text)
		case problem != "":
		case ok:
			problem = notComponent(text)
		default:
			problem = "the claim is neither a text nor a whole number"
		}
	}
	slices.Sort(c.values)
	c.values = slices.Compact(c.values)
	if problem != "" {
		c.strictFault = fmt.Sprintf("{claims.%s}: %s", path, problem)
	}
	if len(c.values) == 0 {
		c.fault = c.strictFault
	}
	return c
}

// whyNot says why the claim cannot fill its placeholder, and is empty if it can. strict
// is as for placeholderFault.
func (c *claimFill) whyNot(strict bool) string {
	if strict {
		return c.strictFault
	}
	return c.fault
}

// mayFill reports whether a placeholder that is a whole component may be one of the
// components of a name.
func (c *claimFill) mayFill(name string) bool {
	if c.strictFault != "" {
		return true // any component, in a deny rule
	}
	if len(c.values) == 1 {
		return hasComponent(name, c.values[0])
	}
	for part := range strings.SplitSeq(name, "/") {
		if _, found := slices.BinarySearch(c.values, part); found {
			return true
		}
	}
	return false
}

// claimValues returns the values of the claim at a dotted path, several if it is a list,
// or what is wrong with it.
func claimValues(claims map[string]any, path string) (values []any, problem string) {
	value, ok := claimPath(strings.Split(path, ".")).lookUp(claims)
	if !ok {
		return nil, "there is no such claim"
	}
	switch list := value.(type) {
	case []any:
		values = list
	case []string:
		for _, text := range list {
			values = append(values, text)
		}
	default:
		return []any{value}, ""
	}
	switch {
	case len(values) == 0:
		return nil, "the claim is an empty list"
	case len(values) > maxClaimValues:
		return nil, fmt.Sprintf("the claim is a list of %d values, and at most %d can fill it", len(values), maxClaimValues)
	}
	return values, ""
}

// claimText returns the text of a claim's value, which must be a text or a whole number.
func claimText(value any) (text string, ok bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		if n := int64(v); float64(n) == v && n < 1<<53 && n > -1<<53 {
			return strconv.FormatInt(n, 10), true
		}
	}
	return "", false
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
