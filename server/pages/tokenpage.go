package pages

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"shorepass/session"
)

// tokenPageView is the data of token.html.
type tokenPageView struct {
	Name    string
	Token   string
	Ends    moment
	Earlier bool // it ends earlier than the form says
	Preview *previewView

	User     string // to type beside the token
	Host     string
	Others   []string // further hosts
	SaveFile string
	DropFile string
	Tools    []lineView
	Forms    []lineView // for CI systems and Kubernetes
}

// lineView is a line for a terminal or a configuration, for a tool.
type lineView struct{ Tool, Text string }

// tokenFile is where the lines read a token from. A token in an argument would be in the
// shell's history and in the list of processes.
const tokenFile = "~/.registry-token"

// tokenTools are the tools that keep the password they log in with, the command with which
// each logs in, and its flag to read the password from standard input.
var tokenTools = []struct{ name, command, stdin string }{
	{"podman", "podman login", "--password-stdin"},
	{"skopeo", "skopeo login", "--password-stdin"},
	{"buildah", "buildah login", "--password-stdin"},
	{"helm", "helm registry login", "--password-stdin"},
	{"oras", "oras login", "--password-stdin"},
	{"crane", "crane auth login", "--password-stdin"},
	{"regctl", "regctl registry login", "--pass-stdin"},
	{"docker", "docker login", "--password-stdin"},
}

// tokenPage returns the page of a token that was made. The store has no readable form of it,
// so that this response alone has it. asked is the lifetime that the form asked for.
func (p *Pages) tokenPage(v *Visit, web *session.Session, form tokenForm, asked time.Duration, made *session.Session, preview *previewView) *Response {
	ends := p.expires(made)
	hosts, user := p.tokenHosts(form.Service), web.Identity.User
	data := tokenPageView{
		Name: made.Label, Token: made.Token.Reveal(), Ends: v.text.moment(ends, v.Now), Preview: preview,
		Earlier: ends.Before(made.Created.Add(asked)),
		User:    basicUser(user), SaveFile: "(umask 077; cat > " + tokenFile + ")", DropFile: "rm " + tokenFile,
	}
	if len(hosts) > 0 {
		data.Host, data.Others = hosts[0], hosts[1:]
		for _, tool := range tokenTools {
			data.Tools = append(data.Tools, lineView{tool.name, loginCommand(tool.command, user, data.Host, tool.stdin) + " < " + tokenFile})
		}
		data.Forms = ciForms(user, data.Host)
	}
	return p.page(v, http.StatusOK, "token", view{Title: v.text.get("token.made", made.Label), Person: user, Data: data})
}

// tokenHosts returns the hosts of a service, or of every service.
func (p *Pages) tokenHosts(service string) (hosts []string) {
	for _, s := range p.Services {
		if service == "" || s.Name == service {
			hosts = append(hosts, s.Hosts...)
		}
	}
	return hosts
}

// ciForms returns what to write into CI systems and Kubernetes, which have the token in a
// secret called REGISTRY_TOKEN.
func ciForms(user, host string) []lineView {
	const auth = "registry-auth.json"
	return []lineView{
		{"GitHub Actions", strings.Join([]string{
			"- uses: docker/login-action@v3",
			"  with:",
			"    registry: " + yamlText(host),
			"    username: " + yamlText(basicUser(user)),
			"    password: ${{ secrets.REGISTRY_TOKEN }}",
		}, "\n")},
		{"GitLab CI", strings.Join([]string{
			"before_script:",
			"  - |",
			`    echo "$REGISTRY_TOKEN" | ` + loginCommand("docker login", user, host, "--password-stdin"),
		}, "\n")},
		{"Kubernetes", strings.Join([]string{
			loginCommand("podman login", user, host, "--authfile", auth, "--password-stdin") + " < " + tokenFile,
			"kubectl create secret docker-registry registry-token --from-file=.dockerconfigjson=" + auth,
			"rm " + auth,
		}, "\n")},
	}
}

// yamlText returns a text as a double-quoted scalar of YAML, which a string of JSON is too
// (YAML 1.2.2, section 1.3).
func yamlText(text string) string {
	var quoted bytes.Buffer
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic(err) // a string can always be encoded
	}
	return strings.TrimSpace(quoted.String())
}
