package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"shorepass/providers"
)

func TestEscapeControls(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"fault: x\n\tüñ 漢":          "fault: x\n\tüñ 漢",
		"a\x1b[31mb":                `a\x1b[31mb`,
		"a\x1b]0;title\x07b\rc\x7f": `a\x1b]0;title\ab\rc\x7f`,
		"a\u009b31m":                `a\u009b31m`, // CSI as one character
		"a\x9b31m":                  `a\x9b31m`,   // and as one byte
		"a\u202eb":                  `a\u202eb`,   // a right-to-left override
	} {
		if got := escapeControls(text); got != want {
			t.Errorf("escapeControls(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestHostileTexts: check and explain --live print what a peer chose without its control
// characters: the names in a certificate, a diagnostic message.
func TestHostileTexts(t *testing.T) {
	const hostile = "a\x1b]0;owned\x07\x1b[2Jb"
	var w strings.Builder
	untrusted := &tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{hostile}}, Host: "registry"}}
	result := &checkResult{Store: &partResult{}, Registry: &partResult{Findings: providers.Findings{discoveryFault(untrusted)}}}
	result.print(&w)
	live := &liveExplanation{Inspected: &providers.Inspected{Asked: []providers.AskedProvider{{Answer: providers.AnswerUnavailable, Text: fmt.Sprint(untrusted)}}}}
	live.print(&w)
	if got := w.String(); strings.ContainsAny(got, "\x1b\x07") || strings.Count(got, `a\x1b]0;owned\a\x1b[2Jb`) != 2 {
		t.Errorf("printed %q", got)
	}
}
