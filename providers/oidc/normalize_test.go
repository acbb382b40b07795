package oidc

import (
	"errors"
	"testing"
)

// TestNormalize: a library gets the needed members alone, by their exact names and
// in their types (D12).
func TestNormalize(t *testing.T) {
	needed := schema{"text": asText, "list": asTexts, "seconds": asSeconds, "sent": asSent}
	for _, tt := range []struct{ sent, want string }{
		{`{"text":"a","list":["b"],"seconds":3600,"sent":[7]}`, `{"list":["b"],"seconds":3600,"sent":[7],"text":"a"}`},
		{`{"Text":"a","LIST":["b"],"ſeconds":3600,"other":{"text":"a"}}`, `{}`},
		{`{"text":null,"list":null,"seconds":null,"sent":null}`, `{}`},
		{`{"text":"a","text":"b"}`, `{"text":"b"}`},
		{`{"text":"a \" \\ é"}`, `{"text":"a \" \\ é"}`},
		{`{"text":7}`, `{"text":""}`},
		{`{"text":{"text":"a"}}`, `{"text":""}`},
		{`{"list":"a"}`, `{"list":null}`},
		{`{"list":["a",7,null,["b"]]}`, `{"list":["a"]}`},
		{`{"seconds":"3600"}`, `{"seconds":3600}`},
		{`{"seconds":""}`, `{"seconds":0}`},
		{`{"seconds":"never"}`, `{"seconds":0}`},
		{`{"seconds":3599.9}`, `{"seconds":0}`},
		{`{"seconds":1e99}`, `{"seconds":0}`},
		{`{"seconds":[1]}`, `{"seconds":0}`},
		{` {} `, `{}`},
	} {
		got, err := normalize([]byte(tt.sent), needed)
		if err != nil || string(got) != tt.want {
			t.Errorf("normalize(%s) = %s, %v, want %s", tt.sent, got, err, tt.want)
		}
	}
	for _, sent := range []string{``, `null`, `[]`, `"text"`, `<html>`, `{"text":"a"`, `{} {}`, `text=a`} {
		if got, err := normalize([]byte(sent), needed); !errors.Is(err, errNotAnObject) {
			t.Errorf("normalize(%s) = %s, %v, want errNotAnObject", sent, got, err)
		}
	}
}
