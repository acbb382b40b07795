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

// secrets are all passwords and tokens that the run has used. No server may
// ever write one of them anywhere.
var secrets = secretSet{known: map[string]string{}}

// secretSet is a set of secrets. It is safe for concurrent use.
type secretSet struct {
	mu    sync.Mutex // guards known
	known map[string]string
}

// add remembers a secret and what it is. What is too short to be told from
// ordinary text is not kept.
func (s *secretSet) add(what, secret string) string {
	if len(secret) >= 6 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.known[secret] = what
	}
	return secret
}

// newPassword makes a password for a user and adds it.
func (s *secretSet) newPassword(user string) string {
	return s.add("password of "+user, user+"-"+rand.Text()[:12])
}

// shapes are what secrets look like, for those that only a client has seen.
var shapes = map[string]*regexp.Regexp{
	"a JSON Web Token":         regexp.MustCompile(`eyJ[\w-]{10,}\.[\w-]{10,}\.`),
	"a token of ours":          regexp.MustCompile(`sp_[rpbwo]_\w{16,}`),
	"an Authorization header":  regexp.MustCompile(`Basic [A-Za-z0-9+/]{12,}={0,2}`),
	"a hash of a password":     regexp.MustCompile(`\$(argon2id|2[aby])\$`),
	"a private key":            regexp.MustCompile(`BEGIN [A-Z ]*PRIVATE KEY`),
	"a panic or a data race":   regexp.MustCompile(`(?m)^panic: |DATA RACE|^goroutine \d+ \[`),
	"a Go value printed badly": regexp.MustCompile(`%!\w\(`),
}

// search looks through every file under dir that a shorepass wrote for what
// must not be there, and returns a line for each find.
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

func (s *secretSet) find(file, text string) []string {
	var finds []string
	for secret, what := range s.known {
		for how, form := range map[string]string{
			"as it is":       secret,
			"in base64":      strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
			"percent-coded":  url.QueryEscape(secret),
			"quoted as Go's": strings.Trim(fmt.Sprintf("%q", secret), `"`),
		} {
			if line, ok := lineWith(text, form); ok {
				finds = append(finds, fmt.Sprintf("%s holds the %s %s: %s", file, what, how, line))
				break
			}
		}
	}
	for what, shape := range shapes {
		if found := shape.FindString(text); found != "" {
			line, _ := lineWith(text, found)
			finds = append(finds, fmt.Sprintf("%s holds %s: %s", file, what, line))
		}
	}
	return finds
}

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
