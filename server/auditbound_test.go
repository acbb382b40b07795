package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"shorepass/policy"
)

// TestAuditLineIsBounded: whatever clients, providers and rules make of a line, it is one
// line of JSON within the bound, and what was granted is cut last.
func TestAuditLineIsBounded(t *testing.T) {
	many := func(n int, text string) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf("%s%d", text, i)
		}
		return all
	}
	verdicts := func(n int) []policy.Verdict {
		all := make([]policy.Verdict, n)
		for i := range all {
			all[i] = policy.Verdict{Rule: fmt.Sprint("rule-", i), Effect: "allow", Scope: "repository:" + strings.Repeat("a", 100), Actions: []string{"pull"}}
		}
		return all
	}
	claims := make(map[string]string)
	for i := range 1000 {
		claims[fmt.Sprintf("claim.%03d", i)] = strings.Repeat("\x00", 256)
	}
	long := strings.Repeat("ä😀<\x00", 50_000)
	for _, tt := range []struct {
		name string
		line auditLine
		left string // lists that have entries left
		cut  bool
	}{
		{"nothing", auditLine{User: "alice", Granted: many(3, "a")}, "granted", false},
		{"256 scopes, all granted", auditLine{Asked: many(256, "repository:team/app"), Granted: many(256, "repository:team/app"), Rules: verdicts(256)}, "asked granted rules", false},
		{"a rule for each of 256 scopes and more", auditLine{Asked: many(256, "s"), Granted: many(256, "s"), Rules: verdicts(5000)}, "asked granted rules", true},
		{"ten thousand groups", auditLine{Groups: many(10_000, "CN=Gruppe-ä"), Unsure: many(3, "u"), Asked: many(2, "s"), Granted: many(1, "s"), Rules: verdicts(1)}, "asked granted groups unsure", true},
		{"claims", auditLine{Claims: claims, Groups: many(5, "g"), Granted: many(1, "s")}, "claims granted", true},
		{"scopes of 256 KiB", auditLine{Asked: many(256, strings.Repeat("a", 1000)), Denied: many(256, strings.Repeat("a", 1000)), Rules: verdicts(10)}, "asked", true},
		{"granted beyond the bound", auditLine{Asked: many(256, strings.Repeat("a", 1000)), Granted: many(256, strings.Repeat("a", 1000))}, "granted", true},
		{"texts of a provider", auditLine{User: long, Subject: long, Provider: long, Reason: long, Target: &auditTarget{long, long, long, long}, Granted: many(2, "s")}, "", true},
		{"every text", auditLine{Request: long, User: long, Subject: long, Provider: long, Method: long, Account: long, Address: long, ClientID: long, UserAgent: long,
			Service: long, TokenType: long, Session: long, JTI: long, Reason: long, Action: long, Target: &auditTarget{long, long, long, long}}, "", true},
		{"control characters", auditLine{User: strings.Repeat("\x00", 200_000), Subject: strings.Repeat("<", 200_000)}, "", true},
	} {
		var written strings.Builder
		before, err := json.Marshal(&tt.line)
		if err != nil {
			t.Fatal(err)
		}
		a, err := openTestAudit(t, AuditConfig{}, &written)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.write(&tt.line), a.Close()); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		text := written.String()
		if strings.Count(text, "\n") != 1 || asciiLength([]byte(text)) > maxAuditLine+1 {
			t.Errorf("%s: %d bytes, %d as ASCII, want one line of at most %d", tt.name, len(text), asciiLength([]byte(text)), maxAuditLine)
		}
		var got auditLine
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if after, err := json.Marshal(&tt.line); err != nil || string(after) != string(before) {
			t.Errorf("%s: the line itself was changed", tt.name)
		}
		if whole := text == string(before)+"\n"; whole == tt.cut || (got.Truncated > 0) != tt.cut {
			t.Errorf("%s: whole %v, truncated %d; want cut %v", tt.name, whole, got.Truncated, tt.cut)
		}
		var left []string
		for _, list := range []struct {
			name  string
			count int
		}{{"asked", len(got.Asked)}, {"claims", len(got.Claims)}, {"denied", len(got.Denied)}, {"granted", len(got.Granted)}, {"groups", len(got.Groups)}, {"rules", len(got.Rules)}, {"unsure", len(got.Unsure)}} {
			if list.count > 0 {
				left = append(left, list.name)
			}
		}
		if strings.Join(left, " ") != tt.left {
			t.Errorf("%s: %q are left, want %q", tt.name, left, tt.left)
		}
		entries := func(l *auditLine) int {
			return len(l.Asked) + len(l.Claims) + len(l.Denied) + len(l.Granted) + len(l.Groups) + len(l.Rules) + len(l.Unsure)
		}
		if missing := entries(&tt.line) - entries(&got); got.Truncated < missing {
			t.Errorf("%s: truncated %d, but %d entries are missing", tt.name, got.Truncated, missing)
		}
		if tt.cut && tt.left != "" && asciiLength([]byte(text)) < maxAuditLine-3000 {
			t.Errorf("%s: %d bytes, cut by more than is needed", tt.name, len(text))
		}
	}
}
