package ldap

import (
	"bytes"
	"strings"
	"testing"
)

// TestSubject: text stays as it is, and binary values, such as eDirectory's GUID, are
// hex (C2).
func TestSubject(t *testing.T) {
	for _, test := range []struct {
		name, attribute, value string
		want                   string // "" for a rejection
	}{
		{"text", "entryUUID", "f0a2e5a4-1d2c-4b7e-9c39-6f5d3e2b1a00", "f0a2e5a4-1d2c-4b7e-9c39-6f5d3e2b1a00"},
		{"text in hex", "uniqueID", "00ff00ff", "00ff00ff"},
		{"text beyond ASCII", "uid", "josé", "josé"},
		{"text with a blank at the end", "uid", "x ", "x "},
		{"eDirectory's GUID", "GUID", "\x8c\x3e\xff\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc", "0x8c3eff00112233445566778899aabbcc"},
		{"binary that is UTF-8 with a control character", "GUID", "ab\x00c", "0x61620063"},
		{"binary that is text by chance", "GUID", "abcdefghijklmnop", "abcdefghijklmnop"},
		{"objectGUID", "objectGUID", "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff", "00112233-4455-6677-8899-aabbccddeeff"},
		{"objectGUID by its OID", "1.2.840.113556.1.4.2", "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff", "00112233-4455-6677-8899-aabbccddeeff"},
		{"objectGUID of another length", "objectGUID", "\x33", ""},
		{"empty", "uid", "", ""},
		{"text that is the subject of a binary value", "uid", "0xff00", ""},
		{"text that is no binary value's subject", "uid", "0x6162", "0x6162"},
		{"text with capital hex", "uid", "0xFF00", "0xFF00"},
	} {
		got, err := subjectOf(entryOf(test.attribute, test.value), test.attribute)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%s: subjectOf = %q, %v, want %q", test.name, got, err, test.want)
		}
		if test.want == "" {
			continue
		}
		if filter, err := subjectFilter(got, test.attribute); err != nil || filter != "("+test.attribute+"="+escapeBytes([]byte(test.value))+")" {
			t.Errorf("%s: subjectFilter(%q) = %q, %v", test.name, got, filter, err)
		}
	}
}

// FuzzSubject: no two values have the same subject, so that no two people are one.
func FuzzSubject(f *testing.F) {
	f.Add([]byte("\xff\x00"), []byte("0xff00"))
	f.Add([]byte("0x"), []byte("0x00"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		one, ok := formatSubject(a)
		if !ok {
			return
		}
		if again := parseSubject(one); !bytes.Equal(again, a) {
			t.Errorf("parseSubject(formatSubject(%q)) = %q", a, again)
		}
		if other, ok := formatSubject(b); ok && other == one && !bytes.Equal(a, b) {
			t.Errorf("%q and %q have the subject %q", a, b, one)
		}
		if strings.ContainsRune(one, 0) {
			t.Errorf("formatSubject(%q) = %q, which holds a NUL", a, one)
		}
	})
}
