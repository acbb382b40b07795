package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// secrets has every password and token that the run used. No shorepass may write
// any of them to its output or audit file.
var secrets = secretSet{known: map[string]string{}}

// secretSet is a set of secrets, safe for concurrent use.
type secretSet struct {
	mu    sync.Mutex
	known map[string]string // secret to description; guarded by mu
}

// add adds a secret with its description, and returns the secret. It ignores
// secrets of less than six bytes, which ordinary text may contain by chance.
func (s *secretSet) add(description, secret string) string {
	if len(secret) >= 6 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.known[secret] = description
	}
	return secret
}

// newPassword draws a password for a user and adds it.
func (s *secretSet) newPassword(user string) string {
	return s.add("password of "+user, user+"-"+rand.Text()[:12])
}

// shapes match secrets that the set does not have, because only a client had
// them, and output that no server may write.
var shapes = map[string]*regexp.Regexp{
	"a JSON Web Token":         regexp.MustCompile(`eyJ[\w-]{10,}\.[\w-]{10,}\.`),
	"a token of ours":          regexp.MustCompile(`sp_[rpbwo]_\w{16,}`),
	"an Authorization header":  regexp.MustCompile(`Basic [A-Za-z0-9+/]{12,}={0,2}`),
	"a hash of a password":     regexp.MustCompile(`\$(argon2id|2[aby])\$`),
	"a private key":            regexp.MustCompile(`BEGIN [A-Z ]*PRIVATE KEY`),
	"a panic or a data race":   regexp.MustCompile(`(?m)^panic: |DATA RACE|^goroutine \d+ \[`),
	"a Go value printed badly": regexp.MustCompile(`%!\w\(`),
}

// search searches every file of a shorepass in dir for the secrets and the
// shapes. It returns a line for each find.
func (s *secretSet) search(dir string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files, err := filepath.Glob(filepath.Join(dir, "shorepass-*"))
	if err != nil {
		return nil, err
	}
	var finds []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		finds = append(finds, s.find(filepath.Base(file), string(text))...)
	}
	return finds, nil
}

// find searches a text for the secrets, in each usual encoding, and for the
// shapes.
func (s *secretSet) find(file, text string) []string {
	var finds []string
	for secret, description := range s.known {
		for encoding, encoded := range map[string]string{
			"in clear":        secret,
			"in base64":       strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
			"percent-encoded": url.QueryEscape(secret),
			"quoted as Go's":  strings.Trim(fmt.Sprintf("%q", secret), `"`),
		} {
			if line, ok := lineWith(text, encoded); ok {
				finds = append(finds, fmt.Sprintf("%s has the %s %s: %s", file, description, encoding, line))
				break
			}
		}
	}
	for description, shape := range shapes {
		if found := shape.FindString(text); found != "" {
			line, _ := lineWith(text, found)
			finds = append(finds, fmt.Sprintf("%s has %s: %s", file, description, line))
		}
	}
	return finds
}

// lineWith returns the first line that contains part.
func lineWith(text, part string) (string, bool) {
	at := strings.Index(text, part)
	if at < 0 {
		return "", false
	}
	begin := strings.LastIndexByte(text[:at], '\n') + 1
	end := strings.IndexByte(text[at:], '\n')
	if end < 0 {
		return text[begin:], true
	}
	return text[begin : at+end], true
}
