package secret

import "testing"

func TestRedactURLs(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"bob@corp.example":           "bob@corp.example",
		"https://h:8443/a@b":         "https://h:8443/a@b",
		"ldaps://[::1]:636/a@b":      "ldaps://[::1]:636/a@b",
		"https://u:p4ss@h/x":         "https://[redacted]@h/x",
		"https://u:1p4ss@h":          "https://[redacted]@h",
		"/x/https:/u:p4ss@h":         "/x/https:/[redacted]@h",
		"C:/x@y":                     "C:/x@y",
		"https://:p4ss@h":            "https://[redacted]@h",
		"https://p4ss@h":             "https://[redacted]@h",
		"//u:p4ss@h":                 "//[redacted]@h",
		"https://u:p4@p4ss@h":        "https://[redacted]@h",
		"https://u:p4/p4ss@h":        "https://[redacted]@h",
		"https://u:p4%zzp4ss@h":      "https://[redacted]@h",
		"https://h/?token=p4ss#p4ss": "https://h/?[redacted]",
		`"https://u:p4 \"p4ss@h" is no URL such as "x@h"`:              `"https://[redacted]@h" is no URL such as "x@h"`,
		`"https://u:p4ss@h" is no URL such as "https://h/?", "a//b@c"`: `"https://[redacted]@h" is no URL such as "https://h/?", "a//[redacted]@c"`,
	} {
		if got := RedactURLs(text); got != want {
			t.Errorf("RedactURLs(%q) = %q, want %q", text, got, want)
		}
	}
}
