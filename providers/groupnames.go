package providers

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// GroupNames is the part of a provider's groups table that filters and renames the groups
// that the provider found.
type GroupNames struct {
	// Only are globs of the groups to use (`*` is any text, `/` included, `?` one
	// character). All others are dropped before any other check. An ldap provider
	// also accepts DNs, which pick one of several groups with the same name.
	// Default: all groups.
	Only []string `toml:"only"`

	// Rename gives groups other names, after only and before prefix. A glob renames
	// every group that it matches; `*` in the new name is the text that the one `*`
	// in the glob matched: { "/*" = "*" } removes the slash from Keycloak's names.
	// A name without `*` takes precedence over a glob, and the longer of two globs
	// over the shorter. An ldap provider also accepts DNs. There, rules that allow
	// the new name apply to the members of the renamed group, and to those of
	// another group of that name only if rename names that one as well.
	Rename map[string]string `toml:"rename"`
}

// Validate reports the faults of the two keys. A provider calls it for its groups table.
func (g GroupNames) Validate(fault func(key, problem string)) {
	validateGlobs("only", g.Only, fault)
	for _, from := range slices.Sorted(maps.Keys(g.Rename)) {
		switch to := g.Rename[from]; {
		case strings.TrimSpace(from) == "":
			fault("rename", "an empty name is not a group's")
		case strings.TrimSpace(to) == "":
			fault("rename", fmt.Sprintf("%q is given an empty name; leave a group out with only", from))
		case ourGroup(to):
			fault("rename", fmt.Sprintf("%q cannot be called %q, which is shorepass's own", from, to))
		case strings.Contains(to, "*") && strings.Count(from, "*") != 1:
			fault("rename", fmt.Sprintf("%q is to be called %q, where \"*\" stands for what one \"*\" matched; write one in %[1]q", from, to))
		case NameProblem(to) != "":
			fault("rename", fmt.Sprintf("%q cannot be called %q, which %s", from, to, NameProblem(to)))
		}
	}
}

// FoundGroup is a group of a person as a provider found it.
type FoundGroup struct {
	Name    string // "" where it is not known
	ID      string // an identifier that only and rename may have instead of the name, such as a DN; "" for none
	Unsure  bool   // the person may be in the group or not
	Several bool   // Name is a text that may be several names: see [GroupClaim]
}

// GroupNamer is a compiled [GroupNames]. Every provider uses it to turn the groups that it
// found into the names in an [Identity]. It is safe for concurrent use.
type GroupNamer struct {
	folds  bool
	only   []groupGlob
	rename []renaming
}

// groupGlob matches the name of a group, or its ID.
type groupGlob struct {
	glob glob
	isID bool
}

// renaming is an entry of GroupNames.Rename.
type renaming struct {
	from groupGlob
	to   string
}

// Compile compiles g for a provider. foldsCase says that the provider ignores case. id,
// where it is not nil, reports whether a text is a FoundGroup.ID, and returns its canonical
// form.
func (g GroupNames) Compile(foldsCase bool, id func(text string) (string, bool)) *GroupNamer {
	n := &GroupNamer{folds: foldsCase}
	compile := func(text string) groupGlob {
		if id != nil {
			if canonical, ok := id(text); ok {
				return groupGlob{glob(n.folded(canonical)), true}
			}
		}
		return groupGlob{glob(n.folded(n.cleaned(text))), false}
	}
	for _, text := range g.Only {
		n.only = append(n.only, compile(text))
	}
	for from, to := range g.Rename {
		n.rename = append(n.rename, renaming{compile(from), n.cleaned(to)})
	}
	slices.SortFunc(n.rename, renaming.before)
	return n
}

// before compares renamings by precedence: first those of an ID, then those of a name
// without wildcards, then those of the longer glob.
func (r renaming) before(other renaming) int {
	rank := func(g groupGlob) int {
		switch {
		case g.isID:
			return 0
		case !g.hasWildcard():
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(r.from), rank(other.from)), cmp.Compare(len(other.from.glob), len(r.from.glob)),
		slices.Compare(r.from.glob, other.from.glob), cmp.Compare(r.to, other.to))
}

func (g groupGlob) hasWildcard() bool {
	return slices.ContainsFunc(g.glob, func(r rune) bool { return r == '*' || r == '?' })
}

// folded returns a name in the form in which names are compared.
func (n *GroupNamer) folded(name string) string { return foldName(name, n.folds) }

// cleaned returns a name without blanks around it and, where the provider ignores case, in
// normal form C: such a provider ignores the normal form too.
func (n *GroupNamer) cleaned(name string) string {
	name = strings.TrimSpace(name)
	if n.folds && NameProblem(name) == "" {
		return norm.NFC.String(name)
	}
	return name
}

// Names returns [Identity.Groups] and [Identity.Unsure] for the groups that were found,
// without those that only drops, under the names that rename gives: sorted, and none in
// both. A group without a name that a rule could write makes unsure [UnsureAll]; problems
// then has the reason, for the log.
func (n *GroupNamer) Names(found []FoundGroup) (groups, unsure, problems []string) {
	for _, g := range found {
		name, problem, kept := n.nameOne(g)
		switch {
		case !kept:
		case problem != "":
			unsure, problems = append(unsure, UnsureAll), append(problems, problem)
		case g.Unsure:
			unsure = append(unsure, name)
		default:
			groups = append(groups, name)
		}
	}
	groups, unsure = distinctNames(groups, unsure, n.folded)
	return groups, unsure, problems
}

// Name returns the name of a group after rename, "" where it has none. kept is false where
// only drops the group for certain.
func (n *GroupNamer) Name(g FoundGroup) (name string, kept bool) {
	g.Name = n.cleaned(g.Name)
	if !n.keeps(g) {
		return "", false
	}
	name, _ = n.renamed(g)
	return name, true
}

// Renames reports whether rename gives a group its name.
func (n *GroupNamer) Renames(g FoundGroup) bool {
	g.Name = n.cleaned(g.Name)
	_, ok := n.renamed(g)
	return ok
}

// renamed returns the name that rename gives a group, else the group's own.
func (n *GroupNamer) renamed(g FoundGroup) (name string, ok bool) {
	for _, r := range n.rename {
		if matched, ok := r.from.capture(n, g); ok {
			return strings.ReplaceAll(r.to, "*", matched), true
		}
	}
	return g.Name, false
}

// Origins returns the groups to which rename may give a name: globs over their names and
// over their IDs. exact says that an entry of rename gives exactly this name to a group,
// which then is the one that rules mean.
func (n *GroupNamer) Origins(name string) (names, ids []string, exact bool) {
	name = n.folded(name)
	for _, r := range n.rename {
		to := glob(n.folded(r.to))
		if !slices.Contains(to, '*') {
			exact = exact || string(to) == name
			continue
		}
		before, after, _ := strings.Cut(string(to), "*")
		from, end := len(before), len(name)-len(after)
		switch {
		case strings.Contains(after, "*"):
			exact = exact || to.match(name)
		case from <= end && to.match(name):
			origin := strings.Replace(string(r.from.glob), "*", name[from:end], 1)
			if r.from.isID {
				ids = append(ids, origin)
			} else {
				names = append(names, origin)
			}
		}
	}
	return names, ids, exact
}

// nameOne is Name, and returns the problem of a group that no rule could name.
func (n *GroupNamer) nameOne(g FoundGroup) (name, problem string, kept bool) {
	if g.Several && !n.isOneName(n.cleaned(g.Name)) {
		return "", fmt.Sprintf("the text %.200q may be one group or several; have the provider send a list, or set groups.separator to what stands between groups, even where there is one", g.Name), n.keepsSome(g.Name)
	}
	name, kept = n.Name(g)
	problem = NameProblem(name)
	switch {
	case name == "" && g.ID == "":
		problem = "a group has no name that can be read; where groups are objects, groups.key says which member has it"
	case name == "":
		problem = fmt.Sprintf("the group %s has no name that can be read", g.ID)
	case problem != "":
		problem = fmt.Sprintf("the group %.200q cannot be used in rules, since its name %s; leave it out with groups.only, or give it a name with groups.rename", g.Name, problem)
	}
	return name, problem, kept
}

// keeps reports whether only may keep a group. A group without a name is dropped only where
// every entry of only is an ID, and none is its own.
func (n *GroupNamer) keeps(g FoundGroup) bool {
	return len(n.only) == 0 || slices.ContainsFunc(n.only, func(o groupGlob) bool {
		return g.Name == "" && !o.isID || o.match(n, g)
	})
}

func (g groupGlob) match(n *GroupNamer, found FoundGroup) bool {
	if g.isID {
		return found.ID != "" && g.glob.match(n.folded(found.ID))
	}
	return found.Name != "" && g.glob.match(n.folded(found.Name))
}

// capture returns the text that the one `*` of a glob matched, in the spelling of the group.
func (g groupGlob) capture(n *GroupNamer, found FoundGroup) (string, bool) {
	if !g.match(n, found) {
		return "", false
	}
	before, after, _ := strings.Cut(string(g.glob), "*")
	text := []rune(found.Name)
	if g.isID {
		text = []rune(norm.NFC.String(found.ID)) // as it was compared
	}
	from, to := len([]rune(before)), len(text)-len([]rune(after))
	if strings.Contains(after, "*") || from > to {
		return "", true // several, or none: a new name then has no `*`
	}
	return string(text[from:to]), true
}

// likelySeparators may separate names in one text. No text is split at them: they make it
// unsure.
var likelySeparators = []string{",", ";", "|", " "}

func isLikelySeparator(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",;|", r) }

// isSeveral reports whether a text may be several names, or a name with a separator after
// it.
func isSeveral(text string) bool {
	return strings.ContainsFunc(strings.TrimSpace(text), isLikelySeparator)
}

// wrappers are the pairs of characters around a list that was written as a text, such as
// JSON, or "[devs]" as Amazon Cognito maps an attribute of several values.
var wrappers = []string{"[]", "{}", "()", `""`, "''"}

// isWrapped reports whether a text may be a list that was written as a text.
func isWrapped(text string) bool {
	text = strings.TrimSpace(text)
	return len(text) > 1 && slices.ContainsFunc(wrappers, func(pair string) bool {
		return text[0] == pair[0] && text[len(text)-1] == pair[1]
	})
}

// isOneName reports whether the configuration says that a text which may be several names is
// one: only has this text, or rename has a glob that matches it with no separator in the
// text of its `*`.
func (n *GroupNamer) isOneName(text string) bool {
	g := FoundGroup{Name: text}
	if slices.ContainsFunc(n.only, func(o groupGlob) bool { return !o.hasWildcard() && o.match(n, g) }) {
		return true
	}
	return slices.ContainsFunc(n.rename, func(r renaming) bool {
		matched, ok := r.from.capture(n, g)
		return ok && (!r.from.hasWildcard() || matched != "" && !strings.ContainsFunc(matched, isLikelySeparator))
	})
}

// keepsSome reports whether only keeps a text, or one of the names that may be in it.
func (n *GroupNamer) keepsSome(text string) bool {
	if n.keeps(FoundGroup{Name: n.cleaned(text)}) {
		return true
	}
	for _, separator := range likelySeparators {
		for _, part := range partsOf(text, separator) {
			bare := strings.Trim(part, strings.Join(wrappers, " ")+strings.Join(likelySeparators, ""))
			if n.keeps(FoundGroup{Name: n.cleaned(part)}) || bare != "" && n.keeps(FoundGroup{Name: n.cleaned(bare)}) {
				return true
			}
		}
	}
	return false
}

// distinctNames sorts both lists, and removes each name from where it is repeated, in unsure
// where groups has it too. Where unsure has [UnsureAll] it has nothing else.
func distinctNames(groups, unsure []string, folded func(string) string) ([]string, []string) {
	seen := make(map[string]bool, len(groups)+len(unsure))
	once := func(names []string) []string {
		slices.Sort(names)
		return slices.DeleteFunc(names, func(name string) bool {
			key := folded(name)
			defer func() { seen[key] = true }()
			return seen[key]
		})
	}
	if slices.Contains(unsure, UnsureAll) {
		return once(groups), []string{UnsureAll}
	}
	return once(groups), once(unsure)
}
