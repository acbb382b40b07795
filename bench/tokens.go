package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"shorepass/providers"
	"shorepass/providers/file"
)

// connections are the rows of each table.
var connections = []int{1, 16, 64}

const password = "bench-password"

// config is what the measured server runs with. The audit line is written, to
// a file, as in production.
const tokensConfig = `
[server]
listen = "127.0.0.1:0"
[audit]
to = "file:%[1]s/audit.log"
[token]
issuer   = "bench"
services = ["registry"]
[session]
store = "sqlite:%[1]s/sessions.db"
[[provider]]
name = "local"
kind = "file"
%[2]s
[[rule]]
name         = "a team owns its folder"
groups       = ["team-*"]
repositories = ["{group}/**"]
actions      = ["pull", "push"]
[[rule]]
name         = "nobody overwrites a release"
effect       = "deny"
repositories = ["*/release/**"]
actions      = ["push"]
`

// measureTokens prints the refresh-token path and the remembered-password path
// beside the bare handler.
func measureTokens(ctx context.Context, binary, dir string, span time.Duration) error {
	hash, err := file.Hash(providers.NewSecret(password))
	if err != nil {
		return err
	}
	people := map[string]int{"twenty": 20, "thousand": 1000}
	var users strings.Builder
	for name, groups := range people {
		names := make([]string, groups)
		for i := range names {
			names[i] = fmt.Sprintf("%q", fmt.Sprintf("team-%03d", i))
		}
		fmt.Fprintf(&users, "[[provider.user]]\nname = %q\npassword = %q\ngroups = [%s]\n", name, hash, strings.Join(names, ", "))
	}
	s, err := startShorepass(ctx, binary, dir, fmt.Sprintf(tokensConfig, dir, users.String()))
	if err != nil {
		return err
	}
	defer s.stop()

	refresh := map[string][]byte{}
	var size int
	for name := range people {
		answer, err := s.login(name)
		if err != nil {
			return err
		}
		form := url.Values{"grant_type": {"refresh_token"}, "service": {"registry"}, "client_id": {"bench"},
			"refresh_token": {answer.RefreshToken}, "scope": {"repository:team-001/app:pull,push"}}.Encode()
		refresh[name] = fmt.Appendf(nil, "POST /jwt/auth HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form)
		size = len(answer.Token) - len(".") - base64.RawURLEncoding.EncodedLen(64)
	}
	remembered := fmt.Appendf(nil, "GET /jwt/auth?service=registry&scope=%s&account=twenty HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic %s\r\n\r\n",
		url.QueryEscape("repository:team-001/app:pull,push"), base64.StdEncoding.EncodeToString([]byte("twenty:"+password)))

	bare, err := startBare(ctx, size)
	if err != nil {
		return err
	}
	defer bare.stop()

	fmt.Printf("%-38s %4s %10s %9s %9s %9s %8s %6s\n", "token request", "c", "req/s", "p50", "p99", "CPU/req", "RSS", "ratio")
	for _, c := range connections {
		limit, err := load(ctx, bare.addr, same(refresh["twenty"]), c, span, bare.cmd.Process.Pid)
		if err != nil {
			return fmt.Errorf("bare handler: %w", err)
		}
		row("bare net/http, ES256", limit, limit)
		for _, path := range []struct {
			name    string
			request []byte
		}{
			{"refresh token, 20 groups", refresh["twenty"]},
			{"refresh token, 1,000 groups", refresh["thousand"]},
			{"remembered password, 20 groups", remembered},
		} {
			got, err := load(ctx, s.addr, same(path.request), c, span, s.cmd.Process.Pid)
			if err != nil {
				return fmt.Errorf("%s: %w", path.name, err)
			}
			row(path.name, got, limit)
		}
	}
	return nil
}

// same is one request for every connection.
func same(request []byte) func(int) []byte { return func(int) []byte { return request } }

func row(name string, f, limit figures) {
	fmt.Printf("%-38s %4d %10.0f %9v %9v %9v %5.1fMiB %6.2f\n", name, f.Connections, f.PerSecond,
		f.P50.Round(time.Microsecond), f.P99.Round(time.Microsecond), f.CPU.Round(time.Microsecond), float64(f.RSS)/(1<<20), f.PerSecond/limit.PerSecond)
}

// process is a server that is measured.
type process struct {
	cmd  *exec.Cmd
	addr string
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func startBare(ctx context.Context, size int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-bare", fmt.Sprint(size))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	return &process{cmd, strings.TrimSpace(addr)}, err
}

// startShorepass serves config and waits until it listens.
func startShorepass(ctx context.Context, binary, dir, config string) (*process, error) {
	path := filepath.Join(dir, "shorepass.toml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "serve", "--config", path)
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var line struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			go io.Copy(io.Discard, log) // ends with the process
			return &process{cmd, line.Address}, nil
		}
		fmt.Fprintln(os.Stderr, lines.Text())
	}
	return nil, fmt.Errorf("%s did not come to listen: %w", binary, cmd.Wait())
}

// tokenAnswer is what the token endpoint answers.
type tokenAnswer struct {
	Token        string `json:"token"`
	RefreshToken string `json:"refresh_token"`
}

// login asks for an offline token as docker login does.
func (p *process) login(name string) (tokenAnswer, error) {
	var answer tokenAnswer
	req, err := http.NewRequest(http.MethodGet, "http://"+p.addr+"/jwt/auth?service=registry&offline_token=true&scope="+
		url.QueryEscape("repository:team-001/app:pull,push"), nil)
	if err != nil {
		return answer, err
	}
	req.SetBasicAuth(name, password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return answer, fmt.Errorf("login of %s: %s: %s", name, resp.Status, body)
	}
	return answer, json.NewDecoder(resp.Body).Decode(&answer)
}
