package main

import (
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
)

// serveBare is the limit: net/http, a parsed request, one ES256 signature, and
// an answer as long as shorepass's. size is the length of the token's signing
// input. It prints its address and serves until it is killed.
func serveBare(size int) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	input := make([]byte, size)
	for i := range input {
		input[i] = 'A'
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, l.Addr())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.BasicAuth()
		digest := sha256.Sum256(input)
		a, b, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		var signature [64]byte
		a.FillBytes(signature[:32])
		b.FillBytes(signature[32:])
		token := string(input) + "." + base64.RawURLEncoding.EncodeToString(signature[:])
		body, err := json.Marshal(map[string]any{
			"token": token, "access_token": token, "expires_in": 300,
			"scope": r.PostForm.Get("scope"), "refresh_token": r.PostForm.Get("refresh_token"),
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}))
}
