package dockerauth

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"shorepass/config"
)

// Source is a text with the name of its file.
type Source struct {
	Name string
	Text []byte
}

// Input is what is imported.
type Input struct {
	Source            // docker_auth's configuration, or the values of its Helm chart
	ACL      *Source  // the entries that MongoDB has, as mongoexport writes them; optional
	Users    *Source  // the users that MongoDB has; optional
	Services []string // the auth.token.service of the registries; optional
}

// Import translates a configuration of docker_auth. kinds are the kinds of provider with
// which the result is checked.
//
// The findings are ordered by file and line. Where one of them is [Refused], text is
// empty; else it is a configuration that [config.Load] takes. The error is of a file that
// cannot be read at all: no YAML, too large, expanded without bound.
func Import(in Input, kinds config.Kinds) (text string, findings []Finding, err error) {
	r := &reader{}
	root, err := r.parse(in.Text)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", in.Name, err)
	}
	t := &translation{r: r, name: in.Name, services: unique(in.Services), mongoACL: in.ACL != nil, mongoUsers: in.Users != nil}
	if r.isChart(root) {
		t.file = r.readChart(root)
	} else {
		t.file = r.readFile(root)
	}
	if err := t.readExports(in); err != nil {
		return "", nil, err
	}
	t.write()
	if r.err != nil {
		return "", nil, fmt.Errorf("%s: %w", in.Name, r.err)
	}
	if !isRefused(r.findings) {
		t.check(kinds)
	}
	findings = sortFindings(r.findings)
	if isRefused(findings) {
		return "", findings, nil
	}
	return t.out.b.String(), findings, nil
}

// translation is the state of one Import.
type translation struct {
	r                    *reader
	file                 *authConfig
	name                 string // of the file
	services             []string
	mongoACL, mongoUsers bool   // what MongoDB has was exported and is imported too
	aclFile              string // of the entries, see Finding

	groupLabel string   // see Identities
	claims     []string // attributes of the directory that labels name
	lowerCase  []string // those of claims that docker_auth turns into lower case
	openID     []openIDTable
	listenText string // server.listen
	out        document
}

// readExports adds what MongoDB has to the file.
func (t *translation) readExports(in Input) error {
	if in.ACL != nil {
		r := &reader{file: in.ACL.Name}
		entries, err := r.readMongoACL(in.ACL.Text)
		if err = cmp.Or(err, r.err); err != nil {
			return fmt.Errorf("%s: %w", in.ACL.Name, err)
		}
		t.r.findings = append(t.r.findings, r.findings...)
		if len(t.file.entries) > 0 && !t.file.chart {
			t.r.add(t.file.entries[0].Line, Refused, "there are entries here and in %s; docker_auth asks those of acl first: write all in one file, in this order", in.ACL.Name)
		}
		t.file.entries, t.file.hasACL, t.aclFile = entries, true, in.ACL.Name
	}
	if in.Users != nil {
		r := &reader{file: in.Users.Name}
		users, err := r.readMongoUsers(in.Users.Text)
		if err = cmp.Or(err, r.err); err != nil {
			return fmt.Errorf("%s: %w", in.Users.Name, err)
		}
		t.r.findings = append(t.r.findings, r.findings...)
		for _, u := range users {
			if slices.ContainsFunc(t.file.users, func(known user) bool { return known.Name == u.Name && !known.null }) {
				t.addFor(u, Lost, "docker_auth finds the user %q in its own file first, and so does the import", u.Name)
				continue
			}
			t.file.users = append(t.file.users, u)
		}
	}
	return nil
}

// write writes the configuration. Each part has the findings about it as comments above.
func (t *translation) write() {
	t.header()
	begin := len(t.r.findings)
	t.readOpenIDTables()
	t.resolveLabels()
	t.resolveOpenIDLabels()
	people, anonymous := t.people()
	ofPeople := slices.Clone(t.r.findings[begin:])

	t.part(t.reportOthers)
	t.out.blank()
	t.writeTable("[server]", t.serverRows)
	t.writeTable("[token]", t.tokenRows)
	t.writeServices()
	t.comments(ofPeople)
	t.writeProviders(people)
	t.writeRules(people, anonymous)
}

// part runs a step, and writes the findings that it adds as comments.
func (t *translation) part(step func()) {
	begin := len(t.r.findings)
	step()
	t.comments(t.r.findings[begin:])
}

func (t *translation) comments(findings []Finding) {
	for _, f := range sortFindings(findings) {
		t.out.comment(f.place() + f.Severity.String() + ": " + f.Text)
	}
}

func (t *translation) writeTable(header string, translate func() []row) {
	var rows []row
	t.part(func() { rows = translate() })
	t.out.table(header, rows)
	t.out.blank()
}

// header writes what the file is, and what concerns no part of it.
func (t *translation) header() {
	t.out.comment("Imported from " + filepath.Base(t.name) + ", a configuration of docker_auth, by \"shorepass import docker_auth\".")
	t.out.comment("Search for CHANGE: what docker_auth's file does not say. Then run \"shorepass check --live\". docs/migrating.md has the next steps, and docs/configuration.md every key. Passwords are carried over as their hashes: keep this file from other users.")
	if len(t.r.findings) > 0 {
		t.out.blank()
		t.comments(t.r.findings)
	}
}

// writeProviders writes the providers, in the order in which docker_auth asks them.
func (t *translation) writeProviders(people []person) {
	if t.file.ldap == nil && len(people) == 0 && !t.signsIn() {
		t.out.comment("There is no provider, so no person can log in.")
		t.out.blank()
	}
	if len(people) > 0 {
		t.out.table("[[provider]]", []row{{key: "name", value: quote("local")}, {key: "kind", value: quote("file")}})
		t.out.blank()
		for _, p := range people {
			t.writePerson(p)
		}
	}
	if t.file.ldap != nil {
		t.writeDirectory()
	}
	t.writeOpenIDProviders()
}

func (t *translation) writeDirectory() {
	var provider, users, groups []row
	t.part(func() { provider, users, groups = t.directoryRows() })
	t.out.table("[[provider]]", provider)
	t.out.blank()
	t.out.table("[provider.users]", users)
	t.out.blank()
	if len(groups) > 0 {
		t.out.table("[provider.groups]", groups)
		t.out.blank()
	}
}

// writeRules writes the rules that the ACL becomes.
func (t *translation) writeRules(people []person, anonymous bool) {
	if !t.file.hasACL {
		t.r.add(0, Lost, "there is no acl, so no rule allows anything")
	}
	who := identities{
		GroupLabel: t.groupLabel,
		Directory:  t.file.ldap != nil || t.hasOtherPeople(),
		Anonymous:  anonymous,

		LowerCaseLabels: t.lowerCase,
	}
	for _, u := range t.file.users {
		if u.Name == "" {
			who.AnonymousLabels = u.Labels
		}
	}
	for _, p := range people {
		if p.hash != noPassword {
			who.Users = append(who.Users, p.staticUser)
		}
	}
	if t.groupLabel != "" {
		who.DirectoryLabels = append(who.DirectoryLabels, t.groupLabel)
	}
	who.DirectoryLabels = unique(slices.Concat(who.DirectoryLabels, t.claims, t.openIDLabels()))
	rules, findings := translateACL(t.file.entries, who)
	for i := range findings {
		findings[i].File = t.aclFile
	}
	t.r.findings = append(t.r.findings, findings...)
	t.out.comment(rulesComment)
	t.comments(findings)
	t.out.blank()
	for _, rule := range append(rules, t.domainRules()...) {
		t.out.rule(rule)
	}
}

// rulesComment stands above the rules.
const rulesComment = "The acl. In docker_auth the first entry that matches decides. Rules have no order: \"unless\" names the rules of entries above that decide first."

// check loads the configuration, and turns its faults into refusals.
func (t *translation) check(kinds config.Kinds) {
	if t.out.b.Len() > maxOutput {
		t.r.add(0, Refused, "the configuration would have more than %d MiB; write fewer entries", maxOutput>>20)
		return
	}
	_, err := config.Parse("shorepass.toml", []byte(t.out.b.String()), kinds, config.OnlySecrets())
	for _, fault := range config.Faults(err) {
		t.r.add(0, Refused, "what this becomes is no configuration: %s: %s", fault.Key, fault.Problem)
	}
}

// maxOutput bounds a configuration, in bytes.
const maxOutput = 64 << 20

func isRefused(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Refused })
}

// sortFindings returns the findings by file and line, each once, and its text as one line
// that can be printed.
func sortFindings(findings []Finding) []Finding {
	var all []Finding
	seen := make(map[Finding]bool)
	for _, f := range findings {
		f.Text = printable(strings.Join(strings.Fields(f.Text), " "))
		if !seen[f] {
			all = append(all, f)
		}
		seen[f] = true
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return all
}

// place returns where a finding is, for a comment in the configuration.
func (f Finding) place() string {
	switch {
	case f.Line == 0:
		return ""
	case f.File == "":
		return fmt.Sprintf("line %d: ", f.Line)
	}
	return fmt.Sprintf("%s:%d: ", filepath.Base(f.File), f.Line)
}

// unique returns the texts, each once.
func unique(texts []string) []string {
	var all []string
	for _, text := range texts {
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}
