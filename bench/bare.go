package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// serveBare serves the baseline of token requests: net/http with the timeouts of
// shorepass, a parsed request, one ES256 signature, and an answer with the same
// header fields and the same length. size is the length of the token's signing
// input. It prints its address and serves until it is killed.
func serveBare(size int) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, l.Addr())
	server := http.Server{
		Handler:           bare{bytes.Repeat([]byte("A"), size), key},
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	return server.Serve(l)
}

type bare struct {
	input []byte // the signing input of every token
	key   *ecdsa.PrivateKey
}

// bareAnswer has the fields of shorepass's answer, in the same order.
type bareAnswer struct {
	Token        string `json:"token"`
	AccessToken  string `json:"access_token"`
	ExpiresIn    int    `json:"expires_in"`
	Scope        string `json:"scope,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

func (b bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.BasicAuth()
	token, err := b.sign()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body, err := json.Marshal(bareAnswer{token, token, 300, r.PostForm.Get("scope"), r.PostForm.Get("refresh_token")})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body = append(body, '\n')
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", "AAAAAAAAAAAAAAAAAAAAAAAAAA")
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

func (b bare) sign() (string, error) {
	digest := sha256.Sum256(b.input)
	r, s, err := ecdsa.Sign(rand.Reader, b.key, digest[:])
	if err != nil {
		return "", err
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return string(b.input) + "." + base64.RawURLEncoding.EncodeToString(signature[:]), nil
}

// startBare starts the bare handler in a process of its own. Its answer is as long as
// the one that shorepass gives to request.
func startBare(ctx context.Context, shorepass *process, request []byte) (*process, error) {
	head, body, err := shorepass.exchange(request)
	if err != nil {
		return nil, err
	}
	var answer tokenAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	p, err := startBareProcess(ctx, len(answer.Token)-len(".")-base64.RawURLEncoding.EncodedLen(64))
	if err != nil {
		return nil, err
	}
	bareHead, bareBody, err := p.exchange(request)
	if err == nil && (len(bareHead) != len(head) || len(bareBody) != len(body)) {
		err = fmt.Errorf("the bare handler answers %d and %d bytes, and shorepass %d and %d: %s", len(bareHead), len(bareBody), len(head), len(body), head)
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}
