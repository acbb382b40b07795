package providers

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// groupsOf reads a claim as a provider does.
func groupsOf(t *testing.T, text string, claim GroupClaim, names GroupNames, foldsCase bool) (groups, unsure []string) {
	t.Helper()
	value, err := DecodeClaim([]byte(text))
	if err != nil {
		t.Fatalf("DecodeClaim(%s) = %v", text, err)
	}
	groups, unsure, _ = names.Compile(foldsCase, nil).Names(claim.Read(value))
	return groups, unsure
}

// TestGroupClaims: the groups of a claim in every form. With unsure "*" a rule that denies any
// group applies.
func TestGroupClaims(t *testing.T) {
	comma, name := GroupClaim{Separator: ","}, GroupClaim{Key: "name"}
	only := func(globs ...string) GroupNames { return GroupNames{Only: globs} }
	rename := func(from, to string) GroupNames { return GroupNames{Rename: map[string]string{from: to}} }
	for _, test := range []struct {
		text   string
		claim  GroupClaim
		names  GroupNames
		groups string // joined by "|"
		unsure string
	}{
		// Lists.
		{`["devs", "ops", "devs"]`, GroupClaim{}, GroupNames{}, "devs|ops", ""},
		{`[]`, GroupClaim{}, GroupNames{}, "", ""},
		{`["a, b", "cn=x,ou=y", "Domain Users"]`, GroupClaim{}, GroupNames{}, "Domain Users|a, b|cn=x,ou=y", ""},
		{`["Devs", "devs"]`, GroupClaim{}, GroupNames{}, "Devs|devs", ""},

		// One odd value locks no person out.
		{`["devs", " ops "]`, GroupClaim{}, GroupNames{}, "devs|ops", ""},
		{`["devs", 42, -7, 1.5, 1e3]`, GroupClaim{}, GroupNames{}, "-7|1.5|1000|42|devs", ""},
		{`["devs", 12345678901234567890]`, GroupClaim{}, GroupNames{}, "devs", "*"}, // it was rounded
		{`["devs", "گروه\u200cها"]`, GroupClaim{}, GroupNames{}, "devs", "*"},
		{`["devs", "\u202esved"]`, GroupClaim{}, GroupNames{}, "devs", "*"},
		{`["devs", {"id": 7}]`, GroupClaim{}, GroupNames{}, "devs", "*"},
		{`["devs", ["ops"]]`, GroupClaim{}, GroupNames{}, "devs", "*"},
		{`["devs", null]`, GroupClaim{}, GroupNames{}, "devs", "*"},
		{`["devs", true]`, GroupClaim{}, GroupNames{}, "devs", "*"},
		{`["devs", ""]`, GroupClaim{}, GroupNames{}, "devs", "*"},
		{`["devs", "a\u0000"]`, GroupClaim{}, GroupNames{}, "devs", "*"},
		{`["devs", "\ufffd"]`, GroupClaim{}, GroupNames{}, "devs", "*"},
		{`["devs", "\u212a8s"]`, GroupClaim{}, GroupNames{}, "devs", "*"}, // k8s without case
		{`["devs", "` + strings.Repeat("x", 513) + `"]`, GroupClaim{}, GroupNames{}, "devs", "*"},
		{`["devs", "\u0130K"]`, GroupClaim{}, GroupNames{}, "devs|İK", ""}, // human resources, in Turkish
		{`true`, GroupClaim{}, GroupNames{}, "", "*"},

		// Groups that only drops change nothing.
		{`["reg-a", "گروه\u200cها", "` + strings.Repeat("x", 513) + `", 42]`, GroupClaim{}, only("reg-*"), "reg-a", ""},
		{`["reg-a", "reg-\u200b"]`, GroupClaim{}, only("reg-*"), "reg-a", "*"},
		{`["reg-a", {"id": 7}]`, GroupClaim{}, only("reg-*"), "reg-a", "*"}, // it may be one of reg-*
		{`[" reg-a "]`, GroupClaim{}, only("reg-a"), "reg-a", ""},
		{`["a/b", "ab"]`, GroupClaim{}, only("a*"), "a/b|ab", ""},

		// Rename.
		{`["/team-blue", "/dev/team", "x"]`, GroupClaim{}, rename("/*", "*"), "dev/team|team-blue|x", ""},
		{`["reg-a", "reg-b"]`, GroupClaim{}, GroupNames{Only: []string{"reg-a"}, Rename: map[string]string{"reg-*": "r-*", "reg-a": "first"}}, "first", ""},
		{`["reg-admin-x"]`, GroupClaim{}, GroupNames{Rename: map[string]string{"reg-*": "short", "reg-admin-*": "long"}}, "long", ""},
		{`["a-b-c"]`, GroupClaim{}, rename("*-b-*", "abc"), "abc", ""},
		{`["گروه\u200cها"]`, GroupClaim{}, rename("گروه\u200cها", "group"), "group", ""},
		{`["x\u200by"]`, GroupClaim{}, rename("x*", "*"), "", "*"},
		{`["team-"]`, GroupClaim{}, rename("team-*", "*"), "", "*"},
		{`[{"id": 7}]`, GroupClaim{}, rename("*", "team-*"), "", "*"},

		// One text.
		{`"team-blue"`, GroupClaim{}, GroupNames{}, "team-blue", ""},
		{`""`, GroupClaim{}, GroupNames{}, "", ""},
		{`" "`, comma, GroupNames{}, "", ""},
		{`42`, GroupClaim{}, GroupNames{}, "42", ""},
		{`"team-blue,contractors"`, GroupClaim{}, GroupNames{}, "", "*"},
		{`"team-blue;contractors"`, GroupClaim{}, GroupNames{}, "", "*"},
		{`"team-blue|contractors"`, GroupClaim{}, GroupNames{}, "", "*"},
		{`"team-blue contractors"`, GroupClaim{}, GroupNames{}, "", "*"},
		{`"team-blue\ncontractors"`, GroupClaim{}, GroupNames{}, "", "*"},
		{`"team-blue\u00a0contractors"`, GroupClaim{}, GroupNames{}, "", "*"},
		{`"team-blue,"`, GroupClaim{}, GroupNames{}, "", "*"},
		{`";team-blue"`, GroupClaim{}, GroupNames{}, "", "*"},
		{`" team-blue "`, GroupClaim{}, GroupNames{}, "team-blue", ""},
		{`"[contractors]"`, GroupClaim{}, GroupNames{}, "", "*"},
		{`"[\"contractors\"]"`, GroupClaim{}, GroupNames{}, "", "*"},
		{`"{contractors}"`, GroupClaim{}, GroupNames{}, "", "*"},
		{`"'contractors'"`, GroupClaim{}, GroupNames{}, "", "*"},
		{`"[team-blue, contractors]"`, comma, GroupNames{}, "", "*"},
		{`"[\"team-blue\",\"contractors\"]"`, comma, only("contractors"), "", "*"},
		{`"[contractors]"`, GroupClaim{}, only("contr*s"), "", "*"},
		{`"[contractors]"`, GroupClaim{}, only("team-*"), "", ""},
		{`"[contractors]"`, GroupClaim{}, rename("[*]", "*"), "contractors", ""},
		{`"[team] blue,[team] red"`, comma, GroupNames{}, "[team] blue|[team] red", ""},
		{`["[contractors]"]`, GroupClaim{}, GroupNames{}, "[contractors]", ""},
		{`"team-blue,contractors"`, comma, GroupNames{}, "contractors|team-blue", ""},
		{`"team-blue, ,contractors,"`, comma, GroupNames{}, "contractors|team-blue", ""},
		{`"Domain Users,ops"`, comma, GroupNames{}, "Domain Users|ops", ""},
		{`"Domain Users"`, comma, GroupNames{}, "Domain Users", ""},
		{`"a b"`, GroupClaim{Separator: " "}, GroupNames{}, "a|b", ""},
		{`["team-blue,contractors", "x"]`, comma, GroupNames{}, "contractors|team-blue|x", ""},
		{`"team-blue,contractors"`, GroupClaim{}, only("contr*"), "", "*"},
		{`"team-blue,contractors"`, GroupClaim{}, only("team-red"), "", ""},
		{`"Domain Users"`, GroupClaim{}, only("domain users"), "", ""},
		{`"Domain Users"`, GroupClaim{}, only("Domain Users"), "Domain Users", ""},
		{`"Domain Users"`, GroupClaim{}, only("Domain*"), "", "*"},
		{`"CN=blue,OU=g,DC=x"`, GroupClaim{}, rename("CN=*,OU=g,DC=x", "*"), "blue", ""},
		{`"CN=blue,OU=g,DC=x,CN=contractors,OU=g,DC=x"`, GroupClaim{}, rename("CN=*,OU=g,DC=x", "*"), "", "*"},
		{`"contractors,team-admins"`, GroupClaim{}, rename("*-admins", "admins"), "", "*"},

		// Objects.
		{`[{"id": 7, "name": "devs"}, {"name": 42}]`, name, GroupNames{}, "42|devs", ""},
		{`[{"id": 7}, {"name": "devs"}, {"name": {"en": "ops"}}, "plain"]`, name, GroupNames{}, "devs|plain", "*"},
		{`{"name": "devs"}`, name, GroupNames{}, "devs", ""},
		{`{"id": 7}`, name, GroupNames{}, "", "*"},
		{`{"admin": {"2081": "corp.example"}, " dev ": {}}`, GroupClaim{}, GroupNames{}, "admin|dev", ""},
		{`{"admin": false, "dev": null, "ops": true}`, GroupClaim{}, GroupNames{}, "ops", "admin|dev"},
		{`{"admin": 0, "dev": "false", "ops": 1, "qa": []}`, GroupClaim{}, GroupNames{}, "ops|qa", "admin|dev"},
		{`{"admin": {}, "": {}}`, GroupClaim{}, GroupNames{}, "admin", "*"},
		{`{}`, GroupClaim{}, GroupNames{}, "", ""},
	} {
		groups, unsure := groupsOf(t, test.text, test.claim, test.names, false)
		if g, u := strings.Join(groups, "|"), strings.Join(unsure, "|"); g != test.groups || u != test.unsure {
			t.Errorf("%s with %+v and %v gives %q and unsure %q, want %q and %q", test.text, test.claim, test.names, g, u, test.groups, test.unsure)
		}
	}
}

// TestGroupNamesWithoutCase: names keep the provider's spelling, and are compared without
// case.
func TestGroupNamesWithoutCase(t *testing.T) {
	names := GroupNames{Only: []string{"REG-*", "ops"}, Rename: map[string]string{"reg-ADMIN": "admins", "Reg-T*": "t*"}}
	groups, unsure := groupsOf(t, `["Reg-A", "reg-a", "OPS", "Reg-Admin", "reg-tEAM", "other"]`, GroupClaim{}, names, true)
	if got := strings.Join(groups, " "); got != "OPS Reg-A admins tEAM" || unsure != nil {
		t.Errorf("groups = %q, unsure %q, want OPS Reg-A admins tEAM", got, unsure)
	}
}

// TestGroupsByID: only and rename pick one of several groups of a name by its ID.
func TestGroupsByID(t *testing.T) {
	id := func(text string) (string, bool) { return text, strings.HasPrefix(text, "id=") }
	found := []FoundGroup{{Name: "admins", ID: "id=1"}, {Name: "admins", ID: "id=2", Unsure: true}, {ID: "id=3"}, {Name: "ops", ID: "id=4"}}
	for _, test := range []struct {
		names          GroupNames
		groups, unsure string
	}{
		{GroupNames{}, "admins ops", "*"},
		{GroupNames{Only: []string{"ID=1"}}, "", ""}, // not an ID
		{GroupNames{Only: []string{"id=1", "id=4"}}, "admins ops", ""},
		{GroupNames{Only: []string{"id=1", "ops"}}, "admins ops", "*"}, // the group without a name may be ops
		{GroupNames{Only: []string{"id=*"}, Rename: map[string]string{"id=2": "second", "id=3": "third", "admins": "a"}}, "a ops third", "second"},
	} {
		groups, unsure, _ := test.names.Compile(false, id).Names(found)
		if g, u := strings.Join(groups, " "), strings.Join(unsure, " "); g != test.groups || u != test.unsure && test.groups != "" {
			t.Errorf("%v gives %q and unsure %q, want %q and %q", test.names, g, u, test.groups, test.unsure)
		}
	}
}

func TestGroupNamesValidate(t *testing.T) {
	for _, test := range []struct {
		names GroupNames
		want  string
	}{
		{GroupNames{Only: []string{"a", "*"}, Rename: map[string]string{"a": "b", "/*": "*", "x-*": "*-x", "a*b*": "ab"}}, ""},
		{GroupNames{Only: []string{""}}, "only[0]"},
		{GroupNames{Only: []string{}}, "only"},
		{GroupNames{Rename: map[string]string{"a": "authenticated"}}, "rename"},
		{GroupNames{Rename: map[string]string{"a": " "}}, "rename"},
		{GroupNames{Rename: map[string]string{"": "a"}}, "rename"},
		{GroupNames{Rename: map[string]string{"a": "*"}}, "rename"},
		{GroupNames{Rename: map[string]string{"a*b*": "*"}}, "rename"},
		{GroupNames{Rename: map[string]string{"a": "b\u200b"}}, "rename"},
	} {
		var keys []string
		test.names.Validate(func(key, _ string) { keys = append(keys, key) })
		if got := strings.Join(keys, " "); got != test.want {
			t.Errorf("Validate of %v reports %q, want %q", test.names, got, test.want)
		}
	}
}

// FuzzGroupClaims: for any JSON, no name is in both lists or made up, and a value that is no
// name makes unsure "*". naive is a reference implementation from the documentation of
// groups.claim alone.
func FuzzGroupClaims(f *testing.F) {
	for _, seed := range []string{`["a"," b ",7]`, `"a,b"`, `"a b"`, `{"a":{},"b":false}`, `[{"name":"a"},{"x":1}]`, `[[1]]`, `null`, `1e400`, `"\u212a"`, `{"name":null}`} {
		f.Add(seed, "", "", "")
		f.Add(seed, ",", "name", "a*")
	}
	f.Fuzz(func(t *testing.T, text, separator, key, only string) {
		value, err := DecodeClaim([]byte(text))
		if err != nil {
			return
		}
		claim := GroupClaim{Separator: separator, Key: key}
		for _, foldsCase := range []bool{false, true} {
			var names GroupNames
			groups, unsure, _ := names.Compile(foldsCase, nil).Names(claim.Read(value))
			texts, all := naive(value, separator, key)
			for _, name := range groups {
				if slices.Contains(unsure, name) {
					t.Errorf("%q is in groups and in unsure", name)
				}
				if !slices.ContainsFunc(texts, func(x string) bool { return strings.TrimSpace(x) == name || foldsCase }) || !isNaiveName(name) {
					t.Errorf("%s has no group %q", text, name)
				}
			}
			if got := slices.Contains(unsure, UnsureAll); got != all && !slices.Contains(texts, UnsureAll) {
				t.Errorf("%s with %+v: unsure %q, want * %v", text, claim, unsure, all)
			}
			if !slices.IsSorted(groups) || !slices.IsSorted(unsure) {
				t.Errorf("%q or %q is not sorted", groups, unsure)
			}
			if only == "" {
				continue
			}
			names.Only = []string{only}
			fewer, _, _ := names.Compile(foldsCase, nil).Names(claim.Read(value))
			for _, name := range fewer {
				if !slices.Contains(groups, name) && !foldsCase && !strings.ContainsAny(text, ",;| \\") {
					t.Errorf("only = %q adds %q to %q", only, name, groups)
				}
			}
		}
	})
}

// naive returns the texts that may be names in a claim's value, and whether the value also has
// one that is no name, or a text that may be several.
func naive(value any, separator, key string) (texts []string, all bool) {
	add := func(v any) {
		if object, ok := v.(map[string]any); ok && key != "" {
			v = object[key]
		}
		switch v := v.(type) {
		case string:
			parts := []string{v}
			if separator != "" {
				parts = strings.Split(v, separator)
				if separator == " " {
					parts = strings.Fields(v)
				}
				parts = slices.DeleteFunc(parts, func(s string) bool { return strings.TrimSpace(s) == "" })
			}
			for _, part := range parts {
				texts = append(texts, part)
				all = all || !isNaiveName(strings.TrimSpace(part))
			}
		case int64:
			texts = append(texts, strconv.FormatInt(v, 10))
		case float64:
			if v >= 1<<53 || v <= -1<<53 {
				all = true
				return
			}
			texts = append(texts, strconv.FormatFloat(v, 'f', -1, 64))
		default:
			all = true
		}
	}
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			add(element)
		}
	case map[string]any:
		if key != "" {
			add(v)
			return texts, all
		}
		for name := range v {
			texts = append(texts, name)
			all = all || !isNaiveName(strings.TrimSpace(name))
		}
	case string:
		if strings.TrimSpace(v) == "" {
			return nil, false
		}
		add(v)
		if separator == "" {
			for _, s := range []string{",", ";", "|"} {
				parts := slices.DeleteFunc(strings.Split(v, s), func(p string) bool { return strings.TrimSpace(p) == "" })
				all = all || len(parts) > 1
			}
			all = all || len(strings.Fields(v)) > 1
		}
	default:
		add(v)
	}
	return texts, all
}

func isNaiveName(name string) bool {
	if name == "" || len(name) > 512 || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		switch {
		case r == '\ufffd', unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
			return false
		case r > 127 && (strings.EqualFold(string(r), "k") || strings.EqualFold(string(r), "s") || strings.ContainsRune("\u037e\u1fef", r)):
			return false
		}
	}
	return true
}
