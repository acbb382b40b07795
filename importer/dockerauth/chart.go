package dockerauth

import (
	"cmp"
	"path"

	"go.yaml.in/yaml/v3"
)

// isChart reports whether a text is the values of docker_auth's Helm chart: these have
// everything that docker_auth reads under "configmap", which is no key of docker_auth.
func (r *reader) isChart(root *yaml.Node) bool {
	root = resolve(root)
	chart := false
	if root.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(root.Content); i += 2 {
			switch root.Content[i].Value {
			case "configmap":
				chart = true
			case "server", "token", "acl":
				return false
			}
		}
	}
	return chart
}

// chartACL is the acl of the chart, which holds where the values have none. Its
// accounts are the chart's own users.
func chartACL(line int) []entry {
	admin, test := "admin", "test"
	return []entry{
		{Line: line, Match: match{Account: &admin}, Actions: []string{"*"}},
		{Line: line, Match: match{Account: &test}, Actions: []string{"pull"}},
	}
}

// readChart reads the values of docker_auth's Helm chart: the configuration that the
// chart makes of them has server.addr, token, users and acl, and nothing else.
func (r *reader) readChart(root *yaml.Node) *authConfig {
	r.helm = true
	f := &authConfig{chart: true}
	f.token.issuer.text, f.token.expiration = "Acme auth server", 900 // the chart's
	port, folder := "5001", "/config/certs"
	certificate, key := "server.pem", "server.key"
	var secret, certificateFile, keyFile setting
	dataLine, usersLine := 0, 0
	ignore := func(pair) {}
	r.tableOf(root, "the values", map[string]tableKey{
		"configmap": {func(line int, n *yaml.Node) {
			r.tableOf(n, "configmap", map[string]tableKey{"data": {func(line int, n *yaml.Node) {
				dataLine = line
				usersLine = r.readChartData(n, f)
			}, true}}, ignore)
		}, true},
		"service": {func(_ int, n *yaml.Node) {
			r.tableOf(n, "service", map[string]tableKey{"targetPort": {read: func(_ int, n *yaml.Node) { port, _ = r.text(n, "service.targetPort") }}}, ignore)
		}, true},
		"secret": {func(_ int, n *yaml.Node) {
			r.tableOf(n, "secret", map[string]tableKey{
				"secretName":          r.into(&secret, "secret.secretName"),
				"certificateFileName": r.into(&certificateFile, "secret.certificateFileName"),
				"keyFileName":         r.into(&keyFile, "secret.keyFileName"),
			}, ignore)
		}, true},
	}, ignore)
	if secret.text != "" {
		certificate, key = cmp.Or(certificateFile.text, "tls.crt"), cmp.Or(keyFile.text, "tls.key")
	}
	f.server.addr = setting{dataLine, ":" + port}
	f.token.certificate, f.token.key = setting{dataLine, path.Join(folder, certificate)}, setting{dataLine, path.Join(folder, key)}
	r.add(dataLine, Noted, "the certificate and the key of the chart's secret are in %s of its pod; root_certificate and root_key name the two there", folder)
	r.add(cmp.Or(usersLine, dataLine), Changed, "Helm adds these users to the chart's own, admin and test, whose passwords everybody can read in the chart; the import leaves those two out where the values do not give them a password. In docker_auth, remove them with admin: null and test: null")
	if !f.hasACL {
		r.add(dataLine, Noted, "the values have no acl, so that of the chart holds: admin may do everything, test may pull")
		f.entries, f.hasACL = chartACL(dataLine), true
	}
	return f
}

// readChartData reads configmap.data, and returns the line of its users.
func (r *reader) readChartData(n *yaml.Node, f *authConfig) (usersLine int) {
	r.table(n, "configmap.data", map[string]tableKey{
		"token": {func(_ int, n *yaml.Node) { r.readChartToken(n, &f.token) }, true},
		"users": {func(line int, n *yaml.Node) { f.users, usersLine = r.readUsers(n, f.users), line }, true},
		"acl":   {func(_ int, n *yaml.Node) { f.entries, f.hasACL = r.readEntries(n) }, false},
	})
	return usersLine
}

func (r *reader) readChartToken(n *yaml.Node, t *tokenTable) {
	r.table(n, "configmap.data.token", map[string]tableKey{
		"issuer": r.into(&t.issuer, "token.issuer"),
		"expiration": {read: func(line int, n *yaml.Node) {
			t.expiration, t.expirationLine = r.integer(n, "token.expiration"), line
		}},
		"disableLegacyKeyId": {read: func(line int, n *yaml.Node) {
			t.disableLegacyKeyID, t.disableLine = r.boolean(n, "token.disableLegacyKeyId"), line
		}},
	})
}
