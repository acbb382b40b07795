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

// encodings are the forms in which a peer may repeat a secret.
func encodings(text string) []string {
	quoted, _ := json.Marshal(text)
	return []string{
		text, base64.StdEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text)),
		url.QueryEscape(text), url.PathEscape(text), hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text))),
		strings.Trim(string(quoted), `"`),
	}
}

// tlv is an element of BER.
func tlv(identifier byte, content ...string) string {
	all := strings.Join(content, "")
	return string([]byte{identifier, 0x82, byte(len(all) >> 8), byte(len(all))}) + all
}

// TestEchoesAreNotRepeated (A5): whatever a directory says in answer to a bind, of
// a person or of the service account, in whichever field and form, no error, no log
// line and no line of check --live holds the password.
func TestEchoesAreNotRepeated(t *testing.T) {
	const person, service = `p%rson+"s päss/w0rd=`, `s%rvice+"s päss/w0rd=`
	result := func(code, more string) string { return "\x0a\x01" + code + more }
	// Each makes the answer to message 1 of a connection, a bind, of what it says.
	bodies := []struct {
		name string
		raw  func(says string) string
	}{
		{"message", func(says string) string { return tlv(0x61, result("\x31", tlv(4)), tlv(4, says)) }},
		{"message of another code", func(says string) string { return tlv(0x61, result("\x50", tlv(4)), tlv(4, says)) }},
		{"message of a code of no table", func(says string) string { return tlv(0x61, result("\x7e", tlv(4)), tlv(4, says)) }},
		{"message of unwilling", func(says string) string { return tlv(0x61, result("\x35", tlv(4)), tlv(4, says)) }},
		{"message of busy", func(says string) string { return tlv(0x61, result("\x33", tlv(4)), tlv(4, says)) }},
		{"message with a number of Active Directory", func(says string) string {
			return tlv(0x61, result("\x31", tlv(4)), tlv(4, "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 52e, v4563 ", says))
		}},
		{"message in the place of a number", func(says string) string {
			return tlv(0x61, result("\x31", tlv(4)), tlv(4, "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data ", says, ", v4563"))
		}},
		{"matched DN", func(says string) string { return tlv(0x61, result("\x20", tlv(4, says)), tlv(4)) }},
		{"referral", func(says string) string {
			return tlv(0x61, result("\x0a", tlv(4)), tlv(4), tlv(0xa3, tlv(4, "ldap://"+says)))
		}},
		{"SASL credentials", func(says string) string { return tlv(0x61, result("\x31", tlv(4)), tlv(4), tlv(0x87, says)) }},
		{"control", func(says string) string {
			return tlv(0x61, result("\x31", tlv(4)), tlv(4)) + tlv(0xa0, tlv(0x30, tlv(4, says), tlv(4, says)))
		}},
		{"control whose value is none", func(says string) string {
			return tlv(0x61, result("\x31", tlv(4)), tlv(4)) + tlv(0xa0, tlv(0x30, tlv(4, "1.3.6.1.4.1.42.2.27.8.5.1"), tlv(4, tlv(0x30, tlv(0x81, says)))))
		}},
		{"control whose criticality is text", func(says string) string {
			return tlv(0x61, result("\x31", tlv(4)), tlv(4)) + tlv(0xa0, tlv(0x30, tlv(4, "1.2"), tlv(4, says), tlv(4, says)))
		}},
		{"text of another type", func(says string) string { return tlv(0x61, result("\x31", tlv(4)), tlv(0x16, "é"+says)) }},
		{"time that is none", func(says string) string { return tlv(0x61, result("\x31", tlv(4)), tlv(0x18, says)) }},
		{"code that is text", func(says string) string { return tlv(0x61, tlv(4, says), tlv(4, says), tlv(4, says)) }},
		{"answer of another kind", func(says string) string { return tlv(0x65, result("\x31", tlv(4, says)), tlv(4, says)) }},
		{"too few fields", func(says string) string { return tlv(0x61, tlv(4, says)) }},
	}
	var lines bytes.Buffer
	var mu sync.Mutex
	log := slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return lines.Write(b)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	leaked := func(where string) {
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
		whose := []string{"person", "service account"}
		if i == 0 {
			whose = append(whose, "notice", "text in no message")
		}
		for _, of := range whose {
			name := body.name + ", " + of
			f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
				if r.Operation != goldap.ApplicationBindRequest {
					return fakeDirectory(func(ldaptest.Request) (ldaptest.Answer, bool) { return ldaptest.Answer{}, false })(r)
				}
				if (r.DN == "cn=svc,dc=x") != (of == "service account") {
					return ldaptest.Answer{}
				}
				says := strings.Join(encodings(r.Password), " ")
				whole := tlv(0x30, "\x02\x01\x01"+body.raw(says))
				switch of {
				case "notice": // of disconnection
					whole = tlv(0x30, "\x02\x01\x00"+tlv(0x78, result("\x34", tlv(4, says)), tlv(4, says), tlv(0x8a, "1.3.6.1.4.1.1466.20036")))
				case "text in no message":
					whole = says
				}
				return ldaptest.Answer{Raw: []byte(whole), Hangup: of == "notice"}
			})
			cfg := shortTimeouts(fakeConfig(f))
			cfg.BindPassword = secret.New(service)
			cfg.Timeout, cfg.DialTimeout = 300*time.Millisecond, 300*time.Millisecond // none of this needs an answer in time
			for _, template := range []string{"", "uid={user},ou=people,dc=x"} {
				cfg.Users.DNTemplate = template
				exercise(t, cfg, log, person)
				leaked(name)
			}
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// exercise logs in, revalidates and pings, and logs all errors and lines as they are
// and taken apart.
func exercise(t *testing.T, cfg ldap.Config, log *slog.Logger, password string) {
	t.Helper()
	p := newProvider(t, cfg)
	p.SetLog(log)
	for range 2 {
		_, err := login(t, p, "alice", password)
		logAll(log, err)
	}
	found, err := p.Ping(t.Context())
	log.Debug("pinged", "found", found)
	logAll(log, err)
}

// logAll logs an error, all that it wraps, and their fields.
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
