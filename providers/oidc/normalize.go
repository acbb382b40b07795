package oidc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// memberType is the type in which a library gets a member.
type memberType int

const (
	asText    memberType = iota // a text, empty for a value of another type
	asTexts                     // the texts of a list, or null
	asSeconds                   // a whole number, 0 for a value that is none
	asSent                      // the value that was sent, which no library reads
)

// schema has the needed members of a JSON object.
type schema map[string]memberType

// tokenMembers are those of a token response and of an error response (RFC 6749,
// sections 5.1 and 5.2; OpenID Connect Core 1.0, section 3.1.3.3). error_codes is
// Entra ID's.
var tokenMembers = schema{
	"access_token": asText, "refresh_token": asText, "id_token": asText, "expires_in": asSeconds,
	"error": asText, "error_codes": asSent,
}

// normalize returns a JSON object with its needed members alone, in their types.
// The libraries decode without case and fail at a value of an unexpected type, so
// that "Error" would stand for "error", and "expires_in": "" would lose the tokens
// beside it. The error wraps errNotAnObject.
func normalize(object []byte, needed schema) ([]byte, error) {
	sent, err := decodeMembers(object)
	if err != nil {
		return nil, err
	}
	normal := map[string]any{}
	for name, value := range sent {
		as, ok := needed[name]
		if !ok || string(value) == "null" {
			continue
		}
		switch as {
		case asText:
			normal[name] = sent.text(name)
		case asTexts:
			normal[name] = sent.texts(name)
		case asSeconds:
			normal[name] = int64(sent.seconds(name) / time.Second)
		case asSent:
			normal[name] = value
		}
	}
	return json.Marshal(normal)
}

// normalizer is the transport of one request that a library sends: it passes the
// answer on normalized. It is not safe for concurrent use.
type normalizer struct {
	next   http.RoundTripper
	needed schema

	answer *http.Response // that was passed on, for what the library keeps to itself; nil without one
}

// normalizing returns an HTTP client for one request of a library, and its
// transport.
func (c *client) normalizing(needed schema) (*http.Client, *normalizer) {
	n := &normalizer{next: c.http.Transport, needed: needed}
	one := *c.http
	one.Transport = n
	return &one, n
}

// RoundTrip implements [http.RoundTripper]. An answer of status 2xx must be a JSON
// object, whatever its Content-Type; any other that is none is passed on as an
// empty object.
func (n *normalizer) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := n.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	normal, err := normalize(body, n.needed)
	switch succeeded := resp.StatusCode >= 200 && resp.StatusCode < 300; {
	case err != nil && succeeded:
		return nil, fmt.Errorf("normalize an answer: %w", err)
	case err != nil:
		normal = []byte("{}")
	}
	resp.Header.Set("Content-Type", "application/json")
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(normal)), int64(len(normal))
	n.answer = resp
	return resp, nil
}
