package server

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"shorepass/policy"
)

// TestAppendedJSONIsThatOfEncodingJSON: with each field alone and with all of them,
// whatever they hold, the bytes are those of encoding/json.
func TestAppendedJSONIsThatOfEncodingJSON(t *testing.T) {
	check := func(t *testing.T, value jsonAppender) {
		t.Helper()
		want, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if got := value.appendJSON([]byte("before"))[len("before"):]; string(got) != string(want) {
			t.Errorf("appendJSON = %s\nwant         %s", got, want)
		}
	}
	texts := []string{"plain", "é", `"\`, "a<b>&c", "\x00\n\x1f", "\x7f", "\u2028", "\xff", " "}
	numbers := []float64{1, 0.5, 0.000123456, 1e-6, 9.9e-7, 1.5e-9, 1e20, 1e21, 1234567.25}
	for i, text := range texts {
		var line auditLine
		var answer tokenAnswer
		check(t, &line)
		check(t, answer)
		fields := reflect.TypeFor[auditLine]().NumField()
		for field := range fields {
			var alone auditLine
			fill(t, reflect.ValueOf(&alone).Elem().Field(field), text, numbers[i])
			fill(t, reflect.ValueOf(&line).Elem().Field(field), text, numbers[i])
			check(t, &alone)
			check(t, &line)
		}
		answer.Token, answer.AccessToken = "a.b-_", "c"
		for field := 2; field < reflect.TypeFor[tokenAnswer]().NumField(); field++ {
			fill(t, reflect.ValueOf(&answer).Elem().Field(field), text, numbers[i])
			check(t, answer)
		}
	}
}

// fill fills a value of any type that the two have.
func fill(t *testing.T, v reflect.Value, text string, number float64) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		v.SetInt(int64(number))
	case reflect.Float64:
		v.SetFloat(number)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), text, number)
		fill(t, v.Index(1), "plain", number)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{text: text, "plain": ""}))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), text, number)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1_700_000_000, int64(number*1000)).In(time.FixedZone("", 3600))))
			return
		}
		for i := range v.NumField() {
			fill(t, v.Field(i), text, number)
		}
	default:
		t.Fatalf("a field of kind %s: teach fill and appendJSON", v.Kind())
	}
}

// FuzzAppendedJSON: of arbitrary texts, lists and numbers the bytes are those of
// encoding/json.
func FuzzAppendedJSON(f *testing.F) {
	f.Add("\u2028", "<>&", "\xff\x00\x7f\ufffd", 1e-7, int64(-1), uint8(4))
	f.Add("", "plain", "", 1e21, int64(1<<40), uint8(3))
	f.Fuzz(func(t *testing.T, a, b, c string, seconds float64, n int64, lists uint8) {
		if math.IsNaN(seconds) || math.IsInf(seconds, 0) {
			t.Skip("a duration is a number")
		}
		list := [][]string{nil, {}, {a}, {a, ""}, {"plain", b, c}}[lists%5]
		line := auditLine{
			Time: time.Unix(n%(1<<37), n%1e9).UTC(), Request: a, Status: int(n), User: b, Subject: c, Account: a + b,
			Groups: list, GroupsOmitted: int(n), Unsure: list, UserAgent: b, Asked: list, Granted: list,
			Duration: seconds, Reason: c,
		}
		if len(list) > 0 {
			line.Claims = map[string]string{a: b, c: a}
			line.Rules = []policy.Verdict{{Rule: a, Effect: b, Scope: c, Actions: list, Fault: c}, {}}
			line.Target = &auditTarget{Session: a, User: b, Subject: c}
		}
		for _, value := range []jsonAppender{&line, tokenAnswer{Token: "a.b-_", ExpiresIn: int(n), Scope: a, RefreshToken: b}} {
			want, err := json.Marshal(value)
			if err != nil {
				t.Skip(err) // a year that has no JSON
			}
			if got := value.appendJSON(nil); string(got) != string(want) {
				t.Errorf("appendJSON = %q\nwant         %q", got, want)
			}
		}
	})
}
