package dockerauth

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMongoACL: the entries are ordered by seq, whatever their order in the file, and
// read as those of a configuration.
func TestMongoACL(t *testing.T) {
	for name, test := range map[string]struct {
		text     string
		want     []string // account and line of each
		findings []string
	}{
		"lines": {
			`{"_id": {"$oid": "5"}, "seq": 20, "match": {"account": "b"}, "actions": ["pull"], "comment": "\ud83d\ude00 \/"}` + "\n" +
				`{"seq": 3, "match": {"account": "null"}, "actions": []}` + "\r\n\n" + `{"seq": {"$numberInt": "15"}, "match": {"account": "yes"}, "actions": ["*"]}`,
			[]string{"null 2", "yes 4", "b 1"}, nil,
		},
		"an array":     {"\ufeff[{\"seq\": 2, \"match\": {\"account\": \"b\"}, \"actions\": []},\n{\"seq\": 1, \"match\": {\"account\": \"a\"}, \"actions\": []}]", []string{"a 2", "b 1"}, nil},
		"no seq":       {`{"match": {"account": "a"}, "actions": []}`, []string{"a 1"}, []string{"1 refused: docker_auth does not start: the entry has no seq, which orders the entries"}},
		"one seq":      {`{"seq": 1, "match": {"account": "a"}, "actions": []} {"seq": 1, "match": {"account": "b"}, "actions": []}`, []string{"a 1", "b 1"}, []string{"1 refused: seq 1 is that of line 1 too, so that their order is not known"}},
		"an other key": {`{"seq": 1, "match": {"account": "a", "team": "x"}, "actions": [], "x": 1}`, []string{"a 1"}, []string{`1 refused: docker_auth ignores "team" in match, so that the entry matches everybody whom its other keys match; write account, type, name, service, ip or labels`, `1 lost: docker_auth ignores "x" in the entry of line 1, and so does the import`}},
	} {
		r := &reader{}
		entries, err := r.readMongoACL([]byte(test.text))
		var got []string
		for _, e := range entries {
			got = append(got, *e.Match.Account+" "+string(rune('0'+e.Line)))
		}
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		if diff := cmp.Diff(test.findings, lines(r.findings)); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", name, diff)
		}
	}
}

// TestMongoUsers: the documents have a user name, a hash and labels.
func TestMongoUsers(t *testing.T) {
	r := &reader{file: "users.json"}
	users, err := r.readMongoUsers([]byte(`{"username": "admin", "password": "$2y$05$x", "labels": {"team": ["a"]}}
{"username": "eve"}
{"password": "x"}
{"username": "admin", "password": "y"}`))
	if err != nil || len(users) != 3 || *users[0].password != "$2y$05$x" || users[0].Labels["team"][0] != "a" || users[0].file != "users.json" || users[1].password != nil {
		t.Errorf("users = %+v, %v", users, err)
	}
	want := []string{`3 lost: the document has no username, and docker_auth never finds it`, `4 refused: the user "admin" is there twice; remove one of the two documents`}
	if diff := cmp.Diff(want, lines(r.findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestMongoExportUnreadable: the error has the line.
func TestMongoExportUnreadable(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "the file is empty",
		"{\"seq\": 1}\n{\"seq\":":            "line 2: not JSON as mongoexport writes it: unexpected EOF",
		"- match: {}":                        "line 1: not JSON",
		"[1]":                                "line 1: a text or a number where a JSON document is expected",
		strings.Repeat("[", 1000):            "line 1: not JSON as mongoexport writes it: it is nested too deeply",
		strings.Repeat(" ", MaxSize+1) + "1": "has more than 4 MiB",
	} {
		r := &reader{}
		if _, err := r.readMongoACL([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}
