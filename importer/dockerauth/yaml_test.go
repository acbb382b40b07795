package dockerauth

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parsed reads a configuration, and returns the texts of its findings with their lines.
func parsed(t *testing.T, text string) (*authConfig, []string) {
	t.Helper()
	r := &reader{}
	root, err := r.parse([]byte(text))
	if err != nil {
		t.Fatalf("parse(%q): %v", text, err)
	}
	read := r.readFile
	if r.isChart(root) {
		read = r.readChart
	}
	f := read(root)
	if r.err != nil {
		t.Fatalf("read %q: %v", text, r.err)
	}
	return f, lines(r.findings)
}

func lines(findings []Finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, fmt.Sprintf("%d %s: %s", f.Line, f.Severity, f.Text))
	}
	return all
}

// TestScalars: a text is what is written in the file, whatever type another reader would
// give it.
func TestScalars(t *testing.T) {
	for _, test := range []struct{ written, want string }{
		{"plain", "plain"}, {"yes", "yes"}, {"007", "007"}, {"1.10", "1.10"}, {"0x1F", "0x1F"}, {"2024-01-02", "2024-01-02"},
		{"on", "on"}, {"4711", "4711"}, {`"null"`, "null"}, {`'~'`, "~"}, {`""`, ""}, {`!!binary bWFyaXQ=`, "marit"}, {"!!str null", "null"},
		{`"a\nb"`, "a\nb"}, {`'/^a\/'`, `/^a\/`}, {"jürgen", "jürgen"}, {`"\u0000"`, "\x00"}, {"|-\n        block", "block"},
	} {
		f, findings := parsed(t, "acl:\n  - match:\n      account: "+test.written+"\n    actions: [pull]\n")
		if len(findings) > 0 || len(f.entries) != 1 || f.entries[0].Match.Account == nil || *f.entries[0].Match.Account != test.want {
			t.Errorf("account: %s is read as %+v, %q, want %q", test.written, f.entries, findings, test.want)
		}
	}
	for _, written := range []string{"", "~", "null", "Null", "NULL", "!!null x"} {
		_, findings := parsed(t, "acl:\n  - match: {account: "+written+"}\n    actions: [pull]\n")
		if len(findings) != 1 || !strings.Contains(findings[0], "2 refused: account has no value in match") {
			t.Errorf("account: %s: %q, want a refusal", written, findings)
		}
	}
}

// TestNamesOfUsers: keys are texts as values are, but for null, which is the name "".
func TestNamesOfUsers(t *testing.T) {
	f, findings := parsed(t, `users: {4711: {}, yes: {}, "yes": {}, null: {}, "": , "null": {}, ~: {}}`)
	var names []string
	for _, u := range f.users {
		names = append(names, fmt.Sprintf("%s null=%t unquoted=%t", u.Name, u.null, u.unquotedNull))
	}
	want := []string{"4711 null=false unquoted=false", "yes null=false unquoted=false", " null=false unquoted=true", "null null=false unquoted=false"}
	if diff := cmp.Diff(want, names); diff != "" || len(findings) != 3 {
		t.Errorf("users (-want +got):\n%s%q, want three that are there twice", diff, findings)
	}
}

// TestDuplicateKeys: a scalar, a list and a user are replaced by the last, a table of
// fixed keys and a map are merged with the first.
func TestDuplicateKeys(t *testing.T) {
	f, findings := parsed(t, `
server: {addr: ":1", certificate: a}
server: {addr: ":2", key: b}
token: {issuer: one, issuer: two}
users:
  bob: {password: x, labels: {team: [a, b], team: [c]}}
  eve: {password: one, labels: {team: [a]}}
users:
  bob: {labels: {site: [n]}, labels: {team: [d]}}
acl: [{match: {}, actions: []}]
acl:
  - match: {account: a, account: b}
    match: {name: n, labels: {x: "1"}, labels: {y: "2", y: "3"}}
    actions: [pull]
    actions: [push]
`)
	if f.server.addr.text != ":2" || f.server.certificate.text != "a" || f.server.key.text != "b" || f.token.issuer.text != "two" {
		t.Errorf("server = %+v, token = %+v, want merged tables and the last scalars", f.server, f.token)
	}
	if len(f.users) != 2 || f.users[0].password != nil || !maps.EqualFunc(f.users[0].Labels, map[string][]string{"site": {"n"}, "team": {"d"}}, slices.Equal) || f.users[1].password == nil {
		t.Errorf("users = %+v, want bob replaced, with merged labels, and eve kept", f.users)
	}
	e := f.entries[0]
	if len(f.entries) != 1 || *e.Match.Account != "b" || *e.Match.Name != "n" || !maps.Equal(e.Match.Labels, map[string]string{"x": "1", "y": "3"}) || !slices.Equal(e.Actions, []string{"push"}) {
		t.Errorf("entries = %+v, want one with the two matches merged, and the last actions", f.entries)
	}
	want := []string{
		`3 note: "server" is in the configuration twice, on line 2 too; docker_auth merges the two, key by key`,
		`4 note: "issuer" is in token twice, on line 4 too; docker_auth takes the last`,
		`6 note: "team" is in labels of the user "bob" twice, on line 6 too; docker_auth takes the last`,
		`8 note: "users" is in the configuration twice, on line 5 too; docker_auth merges the two, key by key`,
		`9 note: "labels" is in the user "bob" twice, on line 9 too; docker_auth merges the two, key by key`,
		`9 note: the user "bob" is there twice; this entry replaces the one of line 6`,
		`11 note: "acl" is in the configuration twice, on line 10 too; docker_auth takes the last`,
		`12 note: "account" is in match twice, on line 12 too; docker_auth takes the last`,
		`13 note: "match" is in the entry of line 12 twice, on line 12 too; docker_auth merges the two, key by key`,
		`13 note: "labels" is in match twice, on line 13 too; docker_auth merges the two, key by key`,
		`13 note: "y" is in labels in match twice, on line 13 too; docker_auth takes the last`,
		`15 note: "actions" is in the entry of line 12 twice, on line 14 too; docker_auth takes the last`,
	}
	if diff := cmp.Diff(want, findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestMergeKeys: << overrides the keys above it, is overridden by those below it, and of
// several tables the first wins.
func TestMergeKeys(t *testing.T) {
	for _, test := range []struct{ match, name, account string }{
		{`{<<: *m, name: own}`, "own", "merged"},
		{`{name: own, <<: *m}`, "merged", "merged"},
		{`{<<: [*m, {name: second, account: second}]}`, "merged", "merged"},
		{`{<<: {<<: *m, account: inner}}`, "merged", "inner"},
		{`*m`, "merged", "merged"},
	} {
		f, _ := parsed(t, "acl:\n  - {match: &m {name: merged, account: merged}, actions: []}\n  - {match: "+test.match+", actions: []}\n")
		if m := f.entries[1].Match; m.Name == nil || m.Account == nil || *m.Name != test.name || *m.Account != test.account {
			t.Errorf("match: %s is read as %+v, want name %s, account %s", test.match, m, test.name, test.account)
		}
	}
	if _, findings := parsed(t, "acl:\n  - {match: {\"<<\": {account: a}}, actions: []}\n"); len(findings) != 1 || !strings.Contains(findings[0], `refused: docker_auth ignores "<<" in match`) {
		t.Errorf("a quoted <<: %q, want a refusal of an unknown key", findings)
	}
}

// TestForms: what is YAML for docker_auth is so here.
func TestForms(t *testing.T) {
	for name, text := range map[string]string{
		"a byte order mark": "\ufeffserver: {addr: \":1\"}",
		"CRLF":              "server:\r\n  addr: \":1\"\r\n",
		"JSON":              `{"server": {"addr": ":1"}}`,
		"a marker":          "%YAML 1.1\n---\nserver: {addr: \":1\"}\n...\n",
		"UTF-16":            utf16("server: {addr: \":1\"}"),
	} {
		if f, findings := parsed(t, text); f.server.addr.text != ":1" || len(findings) > 0 {
			t.Errorf("%s: server.addr = %q, %q", name, f.server.addr.text, findings)
		}
	}
	f, findings := parsed(t, "server: {addr: \":1\"}\n---\nserver: {addr: \":2\"}\n")
	if f.server.addr.text != ":1" || len(findings) != 1 || !strings.Contains(findings[0], "note: docker_auth reads nothing from the second document on") {
		t.Errorf("two documents: server.addr = %q, %q", f.server.addr.text, findings)
	}
}

func utf16(text string) string {
	encoded := "\xff\xfe"
	for i := range len(text) {
		encoded += text[i:i+1] + "\x00"
	}
	return encoded
}

// TestNumbersAndBooleans are those of YAML 1.1, and unquoted.
func TestNumbersAndBooleans(t *testing.T) {
	for written, want := range map[string]int64{"900": 900, "9e2": 900, "0x10": 16, "1_000": 1000, "60.0": 60} {
		if f, findings := parsed(t, "token: {expiration: "+written+"}"); f.token.expiration != want || len(findings) > 0 {
			t.Errorf("expiration: %s is read as %d, %q, want %d", written, f.token.expiration, findings, want)
		}
	}
	for written, want := range map[string]bool{"true": true, "yes": true, "On": true, "no": false, "off": false, "": false} {
		if f, findings := parsed(t, "token: {disable_legacy_key_id: "+written+"}"); f.token.disableLegacyKeyID != want || len(findings) > 0 {
			t.Errorf("disable_legacy_key_id: %s is read as %t, %q, want %t", written, f.token.disableLegacyKeyID, findings, want)
		}
	}
}

// TestWrongTypes: docker_auth does not start with these.
func TestWrongTypes(t *testing.T) {
	for text, want := range map[string]string{
		`token: {expiration: "900"}`:                            "1 refused: docker_auth does not start: token.expiration is a text or a number and must be a number, without quotes",
		`token: {disable_legacy_key_id: "true"}`:                "must be true or false, without quotes",
		`token: []`:                                             "token is a list and must be a table",
		`users: [bob]`:                                          "users is a list and must be a table",
		`users: {bob: secret}`:                                  `the user "bob" is a text or a number and must be a table`,
		`users: {bob: {password: x, labels: {team: a}}}`:        `the label "team" of the user "bob" is a text or a number and must be a list`,
		`acl: {match: {}, actions: []}`:                         "acl is a table and must be a list",
		`acl: [{match: {account: [a, b]}, actions: []}]`:        "account in match is a list and must be a text",
		`acl: [{match: {labels: {team: [a]}}, actions: []}]`:    `the label "team" in match is a list and must be a text`,
		`acl: [{match: {}, actions: "*"}]`:                      "actions of the entry of line 1 is a text or a number and must be a list",
		`acl: [{match: {<<: text}, actions: []}]`:               "<< is a text or a number and must be a table, or a list of tables",
		`acl: [{match: {account: !!binary "*"}, actions: []}]`:  "account in match is !!binary and no base64",
		`acl: [{match: {account: !!binary /w==}, actions: []}]`: "account in match is not UTF-8",
		`{[a]: b}`:                                "a key is a list and must be a text",
		`ldap_auth: {labels: {team: memberOf}}`:   `the label "team" of ldap_auth is a text or a number and must be a table`,
		`server: {letsencrypt: {host: {a: b}}}`:   "server.letsencrypt.host is a table and must be a text",
		"users:\n  bob: {password: [x]}\nacl: []": `2 refused: docker_auth does not start: the password of the user "bob" is a list`,
	} {
		if _, findings := parsed(t, text); len(findings) == 0 || !slices.ContainsFunc(findings, func(f string) bool { return strings.Contains(f, "refused") && strings.Contains(f, want) }) {
			t.Errorf("%s: %q, want %q", text, findings, want)
		}
	}
}

// TestEntries: what docker_auth starts with, and what of it would open a registry.
func TestEntries(t *testing.T) {
	for entry, want := range map[string]string{
		`{match: {}, actions: []}`:                          "",
		`{match: {account: ""}, actions: [""], comment: c}`: "",
		`{match: {labels: {team: }}, actions: [pull]}`:      "", // only an empty label
		`{actions: [pull]}`:                                 "the entry has no match; write match: {} if every request is meant",
		`{match: , actions: [pull]}`:                        "the entry has no match",
		`{match: {account: a}, match: , actions: []}`:       "the entry has no match",
		``:                                             "an entry of acl is empty",
		`{match: {}}`:                                  "the entry has no actions, and docker_auth answers nothing",
		`{match: {}, actions: }`:                       "the entry has no actions",
		`{match: {team: a}, actions: []}`:              `docker_auth ignores "team" in match`,
		`{match: {Account: a}, actions: []}`:           `docker_auth ignores "Account" in match`,
		`{match: {<<: {team: a}}, actions: []}`:        `docker_auth ignores "team" in match`,
		`{match: {type: }, actions: []}`:               "type has no value in match",
		`{match: {ip: , account: a}, actions: []}`:     "ip has no value in match",
		`{match: {labels: , account: a}, actions: []}`: "labels has no value in match",
	} {
		_, findings := parsed(t, "acl:\n  - "+entry+"\n")
		if want == "" && len(findings) > 0 || want != "" && (len(findings) == 0 || !strings.HasPrefix(findings[len(findings)-1], "2 refused: ") || !strings.Contains(findings[len(findings)-1], want)) {
			t.Errorf("%s: %q, want %q", entry, findings, want)
		}
	}
}

// TestUnreadable: what is no configuration at all gets one clear error, in bounded time
// and memory.
func TestUnreadable(t *testing.T) {
	laughs := "a0: &a0 {x: lol}\n"
	for i := range 30 {
		laughs += fmt.Sprintf("a%d: &a%[1]d {<<: [*a%d, *a%[2]d, *a%[2]d]}\n", i+1, i)
	}
	for name, test := range map[string]struct{ text, want string }{
		"nothing":              {"", "the file is empty"},
		"blanks":               {" \n\n", "the file is empty"},
		"comments":             {"# nothing\n", "comments and nothing else"},
		"binary":               {"\x7fELF\x02\x01\x01\x00\x00", "binary, not YAML"},
		"too large":            {strings.Repeat("#", MaxSize+1), "has more than 4 MiB"},
		"no YAML":              {"acl:\n  - {match: {}\n", "not YAML: line 1: did not find expected ',' or '}'"},
		"an unknown alias":     {"acl: *a\n", "not YAML: unknown anchor"},
		"a tab":                {"acl:\n\t- x\n", "not YAML: line 2"},
		"deep flow":            {strings.Repeat("[", 100_000), "not YAML"},
		"deep blocks":          {strings.Repeat("- ", 100_000), "not YAML"},
		"anchors that explode": {laughs + "users: {<<: *a30}\n", "the anchors above stand for more than 16 MiB"},
		"a loop":               {"users: &a {<<: *a}\n", "<< is nested without end"},
		"two loops":            {"users: &a {<<: [*a, *a]}\n", "<< is nested without end"},
		"too many findings":    {strings.Repeat("a:\n", 20_000), "there is something to say of more than 10000 lines"},
		"a long text, often":   {"acl:\n- {match: {}, actions: [], comment: &c " + strings.Repeat("x", 1<<20) + "}\n" + strings.Repeat("- {match: {}, actions: [], comment: *c}\n", 100), "the anchors above stand for more than 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &reader{}
			root, err := r.parse([]byte(test.text))
			if err == nil {
				r.readFile(root)
				err = r.err
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// TestHelmTypes: Helm gives an unquoted scalar a type before docker_auth sees it.
func TestHelmTypes(t *testing.T) {
	for written, typed := range map[string]bool{"yes": true, "0x1F": true, "007": true, "1.10": true, "1e3": true, "true": false, "4711": false, "1.5": false, `"yes"`: false, "bob": false} {
		_, findings := parsed(t, "configmap: {data: {acl: [{match: {account: "+written+"}, actions: []}]}}")
		refused := slices.ContainsFunc(findings, func(f string) bool { return strings.Contains(f, "refused: Helm gives account in match") })
		if refused != typed {
			t.Errorf("account: %s in values: %q, want a refusal: %t", written, findings, typed)
		}
	}
}

// TestChart: of the values only token, users and acl count, beside the port and the
// names of the files; what they leave out is the chart's, but for its users.
func TestChart(t *testing.T) {
	f, _ := parsed(t, "replicaCount: 2\nservice: {port: 80}\nconfigmap:\n  data:\n    users: {arne: {password: x}}\n")
	if f.server.addr.text != ":5001" || f.token.issuer.text != "Acme auth server" || f.token.expiration != 900 || f.token.certificate.text != "/config/certs/server.pem" ||
		len(f.users) != 1 || len(f.entries) != 2 {
		t.Errorf("the chart's defaults: %+v", f)
	}
	f, findings := parsed(t, "configmap: {data: {token: {issuer: I, expiration: 60, disableLegacyKeyId: true, lifetime: 1}, acl: []}}\nsecret: {secretName: s, keyFileName: ../x.key}\nservice: {targetPort: 80}")
	if f.server.addr.text != ":80" || !f.token.disableLegacyKeyID || f.token.certificate.text != "/config/certs/tls.crt" || f.token.key.text != "/config/x.key" || !f.hasACL || len(f.entries) != 0 {
		t.Errorf("values: %+v, %q", f, findings)
	}
	if !slices.ContainsFunc(findings, func(f string) bool { return strings.Contains(f, `ignores "lifetime" in configmap.data.token`) }) ||
		!slices.ContainsFunc(findings, func(f string) bool {
			return strings.Contains(f, "Helm adds these users to the chart's own, admin and test")
		}) {
		t.Errorf("findings: %q", findings)
	}
}
