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
// secrets of less than minSecret bytes, which ordinary text may contain by chance.
func (s *secretSet) add(description, secret string) string {
	if len(secret) >= minSecret {
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
	"a code or a verifier":     regexp.MustCompile(`\b(code|code_verifier|logout_token|id_token_hint)=[\w.~-]{16,}`),
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
	index := s.encoded()
	var finds []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		finds = append(finds, find(filepath.Base(file), string(text), index)...)
	}
	return finds, nil
}

// encodedSecret is a secret as an output may have it.
type encodedSecret struct{ text, description, encoding string }

// minSecret is the length of the shortest secret, in bytes.
const minSecret = 6

// encoded returns every secret in each usual encoding, by its first bytes.
func (s *secretSet) encoded() map[string][]encodedSecret {
	index := make(map[string][]encodedSecret)
	for secret, description := range s.known {
		for encoding, text := range map[string]string{
			"in clear":        secret,
			"in base64":       strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
			"percent-encoded": url.QueryEscape(secret),
			"quoted as Go's":  strings.Trim(fmt.Sprintf("%q", secret), `"`),
		} {
			index[text[:minSecret]] = append(index[text[:minSecret]], encodedSecret{text, description, encoding})
		}
	}
	return index
}

// find searches a text for the secrets of an index in one pass, and for the shapes.
func find(file, text string, index map[string][]encodedSecret) []string {
	var finds []string
	found := make(map[string]bool) // by description
	for at := range max(0, len(text)-minSecret+1) {
		for _, s := range index[text[at:at+minSecret]] {
			if !found[s.description] && strings.HasPrefix(text[at:], s.text) {
				found[s.description] = true
				finds = append(finds, fmt.Sprintf("%s has the %s %s: %s", file, s.description, s.encoding, lineAt(text, at)))
			}
		}
	}
	for description, shape := range shapes {
		if at := shape.FindStringIndex(text); at != nil {
			finds = append(finds, fmt.Sprintf("%s has %s: %s", file, description, lineAt(text, at[0])))
		}
	}
	return finds
}

// lineAt returns the line that has the byte at an offset.
func lineAt(text string, at int) string {
	begin := strings.LastIndexByte(text[:at], '\n') + 1
	if end := strings.IndexByte(text[at:], '\n'); end >= 0 {
		return text[begin : at+end]
	}
	return text[begin:]
}
