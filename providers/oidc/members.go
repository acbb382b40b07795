package oidc

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

var errNotAnObject = errors.New("it is not a JSON object")

// members are the members of a JSON object that the provider sent, by their exact
// names. Decoded into a struct, "Error" would replace "error", and a defect of a
// member that is not read would lose the others. The last of several members of
// one name counts.
type members map[string]json.RawMessage

// decodeMembers decodes a JSON object. The error is errNotAnObject.
func decodeMembers(object []byte) (members, error) {
	var m members
	if json.Unmarshal(object, &m) != nil || m == nil {
		return nil, errNotAnObject
	}
	return m, nil
}

// text returns a member that is a text, and "" for any other.
func (m members) text(name string) string {
	var text string
	if json.Unmarshal(m[name], &text) != nil {
		return ""
	}
	return text
}

// seconds returns a member that is a whole number of seconds, or one as text, and 0
// for any other.
func (m members) seconds(name string) time.Duration {
	seconds, err := strconv.ParseInt(strings.Trim(string(m[name]), `"`), 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// texts returns the texts of a member that is a list, without its other values.
func (m members) texts(name string) []string {
	var list []json.RawMessage
	if json.Unmarshal(m[name], &list) != nil {
		return nil
	}
	var texts []string
	for _, value := range list {
		var text string
		if json.Unmarshal(value, &text) == nil && string(value) != "null" {
			texts = append(texts, text)
		}
	}
	return texts
}

// isTrue reports whether a member is the boolean true.
func (m members) isTrue(name string) bool { return string(m[name]) == "true" }
