package ldap_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// encodings returns the encodings in which a server may repeat a secret.
func encodings(text string) []string {
	quoted, _ := json.Marshal(text)
	return []string{
		text, base64.StdEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text)),
		url.QueryEscape(text), url.PathEscape(text), hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text))),
		strings.Trim(string(quoted), `"`),
	}
}

// tlv returns a BER element.
func tlv(identifier byte, content ...string) string {
	all := strings.Join(content, "")
	return string([]byte{identifier, 0x82, byte(len(all) >> 8), byte(len(all))}) + all
}

// TestEchoesAreNotRepeated: if a directory repeats the password of a person or of the
// service account in the response to a bind, in any field and encoding, then no error,
// no log line and no line of check --live contains it.
func TestEchoesAreNotRepeated(t *testing.T) {
	const person, service = `p%rson+"s päss/w0rd=`, `s%rvice+"s päss/w0rd=`
	result := func(code, more string) string { return "\x0a\x01" + code + more }
	// raw returns the operation of a bind response that contains the text.
	bodies := []struct {
		name string
		raw  func(text string) string
	}{
		{"message", func(text string) string { return tlv(0x61, result("\x31", tlv(4)), tlv(4, text)) }},
		{"message with result other", func(text string) string { return tlv(0x61, result("\x50", tlv(4)), tlv(4, text)) }},
		{"message with an unknown result", func(text string) string { return tlv(0x61, result("\x7e", tlv(4)), tlv(4, text)) }},
		{"message with unwilling", func(text string) string { return tlv(0x61, result("\x35", tlv(4)), tlv(4, text)) }},
		{"message with busy", func(text string) string { return tlv(0x61, result("\x33", tlv(4)), tlv(4, text)) }},
		{"message with a code of Active Directory", func(text string) string {
			return tlv(0x61, result("\x31", tlv(4)), tlv(4, "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 52e, v4563 ", text))
		}},
		{"message in place of a code", func(text string) string {
			return tlv(0x61, result("\x31", tlv(4)), tlv(4, "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data ", text, ", v4563"))
		}},
		{"matched DN", func(text string) string { return tlv(0x61, result("\x20", tlv(4, text)), tlv(4)) }},
		{"referral", func(text string) string {
			return tlv(0x61, result("\x0a", tlv(4)), tlv(4), tlv(0xa3, tlv(4, "ldap://"+text)))
		}},
		{"SASL credentials", func(text string) string { return tlv(0x61, result("\x31", tlv(4)), tlv(4), tlv(0x87, text)) }},
		{"control", func(text string) string {
			return tlv(0x61, result("\x31", tlv(4)), tlv(4)) + tlv(0xa0, tlv(0x30, tlv(4, text), tlv(4, text)))
		}},
		{"control with a malformed value", func(text string) string {
			return tlv(0x61, result("\x31", tlv(4)), tlv(4)) + tlv(0xa0, tlv(0x30, tlv(4, "1.3.6.1.4.1.42.2.27.8.5.1"), tlv(4, tlv(0x30, tlv(0x81, text)))))
		}},
		{"control with text as criticality", func(text string) string {
			return tlv(0x61, result("\x31", tlv(4)), tlv(4)) + tlv(0xa0, tlv(0x30, tlv(4, "1.2"), tlv(4, text), tlv(4, text)))
		}},
		{"text of another BER type", func(text string) string { return tlv(0x61, result("\x31", tlv(4)), tlv(0x16, "é"+text)) }},
		{"malformed time", func(text string) string { return tlv(0x61, result("\x31", tlv(4)), tlv(0x18, text)) }},
		{"text as result code", func(text string) string { return tlv(0x61, tlv(4, text), tlv(4, text), tlv(4, text)) }},
		{"response to another operation", func(text string) string { return tlv(0x65, result("\x31", tlv(4, text)), tlv(4, text)) }},
		{"too few fields", func(text string) string { return tlv(0x61, tlv(4, text)) }},
	}
	var lines bytes.Buffer
	var mu sync.Mutex
	log := slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return lines.Write(b)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	checkNoPassword := func(where string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		for _, secret := range []string{person, service} {
			for _, form := range encodings(secret) {
				if strings.Contains(lines.String(), form) {
					t.Errorf("%s: %q is repeated in\n%s", where, form, lines.String())
				}
			}
		}
		lines.Reset()
	}
	for i, body := range bodies {
		cases := []string{"person", "service account"}
		if i == 0 {
			cases = append(cases, "notice of disconnection", "text outside a message")
		}
		for _, variant := range cases {
			name := body.name + ", " + variant
			f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
				if r.Operation != goldap.ApplicationBindRequest {
					return fakeDirectory(func(ldaptest.Request) (ldaptest.Answer, bool) { return ldaptest.Answer{}, false })(r)
				}
				if (r.DN == "cn=svc,dc=x") != (variant == "service account") {
					return ldaptest.Answer{}
				}
				text := strings.Join(encodings(r.Password), " ")
				whole := tlv(0x30, "\x02\x01\x01"+body.raw(text))
				switch variant {
				case "notice of disconnection":
					whole = tlv(0x30, "\x02\x01\x00"+tlv(0x78, result("\x34", tlv(4, text)), tlv(4, text), tlv(0x8a, "1.3.6.1.4.1.1466.20036")))
				case "text outside a message":
					whole = text
				}
				return ldaptest.Answer{Raw: []byte(whole), Hangup: variant == "notice of disconnection"}
			})
			cfg := shortTimeouts(fakeConfig(f))
			cfg.BindPassword = secret.New(service)
			cfg.Timeout, cfg.DialTimeout = 300*time.Millisecond, 300*time.Millisecond // no answer has to come in time
			for _, template := range []string{"", "uid={user},ou=people,dc=x"} {
				cfg.Users.DNTemplate = template
				exercise(t, cfg, log, person)
				checkNoPassword(name)
			}
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// exercise logs in and pings, and logs all lines and errors, in full and unwrapped.
func exercise(t *testing.T, cfg ldap.Config, log *slog.Logger, password string) {
	t.Helper()
	p := newProvider(t, cfg)
	p.SetLog(log)
	for range 2 {
		_, err := login(t, p, "alice", password)
		logAll(log, err)
	}
	found, err := p.Ping(t.Context())
	log.Debug("ping", "lines", found)
	logAll(log, err)
}

// logAll logs an error and all errors that it wraps, with their fields.
func logAll(log *slog.Logger, err error) {
	if err == nil {
		return
	}
	log.Debug("failed", "error", err, "fields", slog.AnyValue(err))
	log.Debug("in full: " + fmt.Sprintf("%+v %#v", err, err))
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			logAll(log, one)
		}
		return
	}
	logAll(log, errors.Unwrap(err))
}
