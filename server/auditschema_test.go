package server

import (
	"encoding/json"
	"testing"
	"time"

	"shorepass/policy"
)

// TestAuditLineSchema holds the name and the place of every field. A change
// here is a change of the public schema.
func TestAuditLineSchema(t *testing.T) {
	ended := 0
	for name, test := range map[string]struct {
		line auditLine
		want string
	}{
		"every field": {
			auditLine{
				Time: time.Unix(0, 1).UTC(), Request: "a", Status: 200, User: "b", Subject: "c", Provider: "d", Method: "e", Account: "f",
				Groups: []string{"1"}, GroupsOmitted: 2, Unsure: []string{"3"}, Claims: map[string]string{"4": "5"},
				Address: "g", ClientID: "h", UserAgent: "i", Service: "j", Asked: []string{"k"}, Granted: []string{"l"}, Denied: []string{"6"},
				Rules: []policy.Verdict{{Rule: "m", Effect: "n", Scope: "o", Actions: []string{"p"}, Fault: "q"}}, Omitted: 1,
				TokenType: "r", Session: "s", JTI: "t", Duration: 0.5, Reason: "u", Action: "v", Target: &auditTarget{"w", "x", "y", "z"}, Ended: &ended,
			},
			`{"time":"1970-01-01T00:00:00.000000001Z","request":"a","status":200,"user":"b","subject":"c","provider":"d","method":"e","account":"f",` +
				`"groups":["1"],"groups_omitted":2,"unsure":["3"],"claims":{"4":"5"},` +
				`"address":"g","client":"h","user_agent":"i","service":"j","asked":["k"],"granted":["l"],"denied":["6"],` +
				`"rules":[{"rule":"m","effect":"n","scope":"o","actions":["p"],"fault":"q"}],"omitted":1,` +
				`"token_type":"r","session":"s","jti":"t","duration":0.5,"reason":"u","action":"v",` +
				`"target":{"session":"w","user":"x","subject":"y","provider":"z"},"ended":0}`,
		},
		"no field": {
			auditLine{},
			`{"time":"0001-01-01T00:00:00Z","request":"","status":0,"user":"","address":"","duration":0}`,
		},
	} {
		got, err := json.Marshal(&test.line)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v\nwant %s", name, got, err, test.want)
		}
	}
}
