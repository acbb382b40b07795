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

// GroupNames is the part of a provider's groups table that says which of the
// groups it found it answers with, and under which names.
type GroupNames struct {
	// Only keeps the groups that match one of these, before anything else is
	// looked at (globs: `*` is any text, `/` included, `?` one character). An
	// ldap provider takes DNs too, which pick one of several groups of a name.
	// Default: all.
	Only []string `toml:"only"`

	// Rename gives groups another name, after only and before the prefix. A
	// glob renames all that it matches, and `*` in the new name stands for what
	// the one `*` in the glob matched: { "/*" = "*" } takes the slash from
	// Keycloak's names. A name without `*` goes before a glob, and of two globs
	// the longer one. An ldap provider takes DNs too; rules that allow the new name
	// hold there for the members of the renamed group, and of another group that is
	// called so only where rename has that one as well.
	Rename map[string]string `toml:"rename"`
}

// Validate reports what is wrong with the two keys. A provider calls it for
// its groups table.
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
	Name    string // "" where it cannot be told
	ID      string // what only and rename may write instead of the name, such as a DN; "" where there is none
	Unsure  bool   // the person may be in it or not
	Several bool   // Name is a text that may be several names, see [GroupClaim]
}

// GroupNamer is a [GroupNames] compiled. It is the one function of all providers
// from the groups that they found to the names in an [Identity]. It is safe for
// concurrent use.
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

// Compile returns g for a provider. foldsCase says that it ignores case. id, where
// it is not nil, recognizes a text as one of FoundGroup.ID and returns it in the
// spelling that IDs have.
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

// before orders renamings by which of two is tried first: that of an ID, that of a
// name without wildcards, that of the longer glob.
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

// cleaned returns a name without blanks around it and, where the provider ignores
// case, in normal form C: such a provider ignores the form too.
func (n *GroupNamer) cleaned(name string) string {
	name = strings.TrimSpace(name)
	if n.folds && NameProblem(name) == "" {
		return norm.NFC.String(name)
	}
	return name
}

// Names returns the names of the groups that only keeps, under the names that
// rename gives them, as they belong into [Identity.Groups] and
// [Identity.Unsure]: sorted, and none in both. A group without a name that a rule
// could write makes unsure [UnsureAll]; problems then says why, for the log.
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

// Name returns the name that a group has after rename, "" where it has none. It
// is not kept where only drops it for certain.
func (n *GroupNamer) Name(g FoundGroup) (name string, kept bool) {
	g.Name = n.cleaned(g.Name)
	if !n.keeps(g) {
		return "", false
	}
	name, _ = n.renamed(g)
	return name, true
}

// Renames reports whether rename says what a group is called.
func (n *GroupNamer) Renames(g FoundGroup) bool {
	g.Name = n.cleaned(g.Name)
	_, ok := n.renamed(g)
	return ok
}

// renamed returns the name that rename gives to a group, or its own.
func (n *GroupNamer) renamed(g FoundGroup) (name string, ok bool) {
	for _, r := range n.rename {
		if matched, ok := r.from.capture(n, g); ok {
			return strings.ReplaceAll(r.to, "*", matched), true
		}
	}
	return g.Name, false
}

// Origins returns which groups rename may give a name to: globs over their names
// and over their IDs. given says that it gives this very name to some group, which
// then is the one that rules mean.
func (n *GroupNamer) Origins(name string) (names, ids []string, given bool) {
	name = n.folded(name)
	for _, r := range n.rename {
		to := glob(n.folded(r.to))
		if !slices.Contains(to, '*') {
			given = given || string(to) == name
			continue
		}
		before, after, _ := strings.Cut(string(to), "*")
		from, end := len(before), len(name)-len(after)
		switch {
		case strings.Contains(after, "*"):
			given = given || to.match(name)
		case from <= end && to.match(name):
			origin := strings.Replace(string(r.from.glob), "*", name[from:end], 1)
			if r.from.isID {
				ids = append(ids, origin)
			} else {
				names = append(names, origin)
			}
		}
	}
	return names, ids, given
}

// nameOne is Name, with the problem of a group that rules could not name.
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

// keeps reports whether only may keep a group. One whose name is not known is
// dropped by IDs alone.
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

// capture returns what the only `*` of a glob matched, in the spelling of the
// group.
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

// likelySeparators are what may stand between names in one text. None of them is
// taken for a separator: they are what makes a text unsure.
var likelySeparators = []string{",", ";", "|", " "}

func isLikelySeparator(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",;|", r) }

// isSeveral reports whether a text may be several names, or one with a separator
// after it.
func isSeveral(text string) bool {
	return strings.ContainsFunc(strings.TrimSpace(text), isLikelySeparator)
}

// wrappers are pairs of what stands around a list that was written as a text, such as
// JSON's, or "[devs]" as Amazon Cognito maps an attribute of several values.
var wrappers = []string{"[]", "{}", "()", `""`, "''"}

// isWrapped reports whether a text may be a list that was written as one.
func isWrapped(text string) bool {
	text = strings.TrimSpace(text)
	return len(text) > 1 && slices.ContainsFunc(wrappers, func(pair string) bool {
		return text[0] == pair[0] && text[len(text)-1] == pair[1]
	})
}

// isOneName reports whether the configuration itself says that a text which may
// be several names is one: an entry of only is this text, or one of rename matches
// it with no separator in what its `*` matched.
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

// keepsSome reports whether only keeps a text, or one of the names that it may be
// made of.
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

// distinctNames sorts both lists and keeps each name once, in the first of them
// that has it. Where unsure has [UnsureAll] it has nothing else.
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
