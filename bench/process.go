package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// process is a server that listens at addr.
type process struct {
	cmd  *exec.Cmd
	addr string
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// pause suspends the server until resume, so that its background work does not
// disturb the runs of another variant.
func (p *process) pause() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) }

func (p *process) resume() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

// startBareProcess starts serveBare in a process of its own.
func startBareProcess(ctx context.Context, size int) (*process, error) {
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

// startShorepass starts a server with config and waits until it listens.
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
	var logged []string
	for lines := bufio.NewScanner(log); lines.Scan(); logged = append(logged, lines.Text()) {
		var line struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			go io.Copy(io.Discard, log) // ends with the process
			return &process{cmd, line.Address}, nil
		}
	}
	return nil, fmt.Errorf("%s ended before it listened: %w\n%s", binary, cmd.Wait(), strings.Join(logged, "\n"))
}

// tokenAnswer is an answer of the token endpoint.
type tokenAnswer struct {
	Token        string `json:"token"`
	RefreshToken string `json:"refresh_token"`
}

// login logs in with an offline token, as docker login does.
func (p *process) login(name string) (tokenAnswer, error) {
	var answer tokenAnswer
	req, err := http.NewRequest(http.MethodGet, "http://"+p.addr+"/jwt/auth?offline_token=true&service=registry&scope="+url.QueryEscape(scope), nil)
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

// exchange sends one request on a new connection and returns the header and the body
// of the answer.
func (p *process) exchange(request []byte) (head, body []byte, err error) {
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		return nil, nil, err
	}
	var all bytes.Buffer
	if err := readAnswer(bufio.NewReaderSize(io.TeeReader(conn, &all), 64<<10)); err != nil {
		return nil, nil, err
	}
	head, body, _ = bytes.Cut(all.Bytes(), []byte("\r\n\r\n"))
	return head, body, nil
}
