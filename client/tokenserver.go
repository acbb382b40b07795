package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Reply is how a token endpoint answers a request without credentials.
type Reply struct {
	Status int
	Token  string // for an anonymous client; "" if there is none
	IsOurs bool   // the answer is a token, or an error in the form of shorepass's
}

// AskAnonymously asks a token endpoint for a token without credentials and without a
// scope. The error is ErrUnreachable, or one of a malformed realm.
func AskAnonymously(ctx context.Context, realm, service string) (Reply, error) {
	u, err := url.Parse(realm)
	if err != nil {
		return Reply{}, err
	}
	query := u.Query()
	query.Set("service", service)
	u.RawQuery = query.Encode()
	resp, text, err := get(ctx, u.String(), "")
	if err != nil {
		return Reply{}, err
	}
	var body struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(text, &body) != nil || resp.StatusCode != http.StatusOK {
		body.Token = ""
	}
	return Reply{Status: resp.StatusCode, Token: body.Token, IsOurs: body.Token != "" || isShorepass(text)}, nil
}

// isShorepass reports whether the body of an error is one of shorepass: it has the
// members of the registry's errors and of OAuth's together.
func isShorepass(body []byte) bool {
	var e struct {
		Error  string `json:"error"`
		Errors []any  `json:"errors"`
	}
	return json.Unmarshal(body, &e) == nil && e.Error != "" && len(e.Errors) > 0
}
