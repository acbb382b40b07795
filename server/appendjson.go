package server

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"shorepass/policy"
)

// jsonAppender is a value that appends its own JSON: the same bytes as encoding/json,
// without reflection. The answer and the audit line of each request do.
type jsonAppender interface{ appendJSON(b []byte) []byte }

func (a tokenAnswer) appendJSON(b []byte) []byte {
	o := object{append(b, '{')}
	o.plain("token", a.Token) // a JWT is of base64url and dots
	o.plain("access_token", a.AccessToken)
	o.number("expires_in", a.ExpiresIn)
	o.optionalText("scope", a.Scope)
	o.optionalText("refresh_token", a.RefreshToken)
	return append(o.b, '}')
}

func (l *auditLine) appendJSON(b []byte) []byte {
	o := object{append(b, '{')}
	o.time("time", l.Time)
	o.text("request", l.Request)
	o.number("status", l.Status)
	o.text("user", l.User)
	o.optionalText("subject", l.Subject)
	o.optionalText("provider", l.Provider)
	o.optionalText("method", l.Method)
	o.optionalText("account", l.Account)
	o.optionalTexts("groups", l.Groups)
	o.optionalNumber("groups_omitted", l.GroupsOmitted)
	o.optionalTexts("unsure", l.Unsure)
	if len(l.Claims) > 0 {
		o.value("claims", l.Claims)
	}
	o.text("address", l.Address)
	o.optionalText("client", l.ClientID)
	o.optionalText("user_agent", l.UserAgent)
	o.optionalText("service", l.Service)
	o.optionalTexts("asked", l.Asked)
	o.optionalTexts("granted", l.Granted)
	if len(l.Rules) > 0 {
		o.verdicts("rules", l.Rules)
	}
	o.optionalNumber("omitted", l.Omitted)
	o.optionalText("token_type", l.TokenType)
	o.optionalText("session", l.Session)
	o.optionalText("jti", l.JTI)
	o.seconds("duration", l.Duration)
	o.optionalText("reason", l.Reason)
	o.optionalText("action", l.Action)
	if l.Target != nil {
		o.value("target", l.Target)
	}
	if l.Ended != nil {
		o.number("ended", *l.Ended)
	}
	return append(o.b, '}')
}

// object appends the members of a JSON object. Their names are plain.
type object struct{ b []byte }

func (o *object) name(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) text(name, value string) {
	o.name(name)
	o.b = appendText(o.b, value)
}

// plain appends a text that needs no escapes.
func (o *object) plain(name, value string) {
	o.name(name)
	o.b = appendPlain(o.b, value)
}

func (o *object) optionalText(name, value string) {
	if value != "" {
		o.text(name, value)
	}
}

func (o *object) number(name string, value int) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, int64(value), 10)
}

func (o *object) optionalNumber(name string, value int) {
	if value != 0 {
		o.number(name, value)
	}
}

func (o *object) optionalTexts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	o.name(name)
	for i, value := range values {
		o.b = append(o.b, "[,"[min(i, 1)])
		o.b = appendText(o.b, value)
	}
	o.b = append(o.b, ']')
}

func (o *object) time(name string, value time.Time) {
	o.name(name)
	o.b = append(o.b, '"')
	o.b = value.AppendFormat(o.b, time.RFC3339Nano)
	o.b = append(o.b, '"')
}

// seconds appends a float as encoding/json does, which writes very small and very
// large ones with an exponent.
func (o *object) seconds(name string, value float64) {
	if value != 0 && (value < 1e-6 || value >= 1e21) {
		o.value(name, value)
		return
	}
	o.name(name)
	o.b = strconv.AppendFloat(o.b, value, 'f', -1, 64)
}

func (o *object) verdicts(name string, values []policy.Verdict) {
	o.name(name)
	for i, v := range values {
		o.b = append(o.b, "[,"[min(i, 1)])
		one := object{append(o.b, '{')}
		one.text("rule", v.Rule)
		one.text("effect", v.Effect)
		one.text("scope", v.Scope)
		one.optionalTexts("actions", v.Actions)
		one.optionalText("fault", v.Fault)
		o.b = append(one.b, '}')
	}
	o.b = append(o.b, ']')
}

// value appends a member by encoding/json.
func (o *object) value(name string, value any) {
	o.name(name)
	o.b = appendValue(o.b, value)
}

// appendText appends a JSON string. What encoding/json escapes, and all that is not
// ASCII, is left to it.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if !isPlain[text[i]] {
			return appendValue(b, text)
		}
	}
	return appendPlain(b, text)
}

func appendPlain(b []byte, text string) []byte {
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// isPlain are the characters that encoding/json does not escape.
var isPlain = func() (plain [256]bool) {
	for c := ' '; c <= '~'; c++ {
		plain[c] = !strings.ContainsRune(`"\<>&`, c)
	}
	return plain
}()

func appendValue(b []byte, value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic("server: a value that has no JSON: " + err.Error())
	}
	return append(b, text...)
}
