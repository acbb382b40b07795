package main

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"shorepass": main})
}

// TestScripts runs the scripts in testdata/script, which call the binary as users do.
func TestScripts(t *testing.T) {
	testscript.Run(t, scripts("testdata/script", func(*testscript.Env) {}))
}

// scripts returns the parameters of the scripts in a folder. Each script has a free
// address in $ADDR and another in $ADDR2.
func scripts(folder string, setup func(*testscript.Env)) testscript.Params {
	return testscript.Params{
		Dir:                 folder,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			setup(e)
			for _, name := range []string{"ADDR", "ADDR2"} {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				defer l.Close()
				e.Setenv(name, l.Addr().String())
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"healthy": waitOpen,
			"get":     get,
			"until":   until,
			"expand":  expand,
			"mode":    mode,
			"status":  exitCode,
			"metric":  checkMetric,
			"sqlite":  execSQLite,

			"certificate": makeCertificate,
		},
	}
}

// waitOpen is "healthy URL": it waits until the server answers requests, which it does
// once its store is open. It asks for no readiness, since that would be a probe.
func waitOpen(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get(args[0] + "/v2/"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusUnauthorized {
				return
			}
		}
	}
	ts.Fatalf("%s is not healthy", args[0])
}

// get is "get STATUS URL [USER PASSWORD]": it sends a GET and checks the status.
func get(ts *testscript.TestScript, _ bool, args []string) {
	if got := statusOf(ts, args[1:]); got != args[0] {
		ts.Fatalf("GET %s: status %s, want %s", args[1], got, args[0])
	}
}

// until is "until STATUS URL [USER PASSWORD]": it retries until the status is STATUS.
func until(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := statusOf(ts, args[1:])
		if got == args[0] {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("GET %s: status %s, want %s", args[1], got, args[0])
		}
	}
}

// statusOf returns the status of the answer to "URL [USER PASSWORD]".
func statusOf(ts *testscript.TestScript, args []string) string {
	req, err := http.NewRequest(http.MethodGet, args[0], nil)
	ts.Check(err)
	if len(args) == 3 {
		req.SetBasicAuth(args[1], args[2])
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	resp.Body.Close()
	return fmt.Sprint(resp.StatusCode)
}

// expand is "expand FILE…": it replaces $ADDR, $ADDR2 and $STORE in the files with their
// values.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	values := strings.NewReplacer("$ADDR2", ts.Getenv("ADDR2"), "$ADDR", ts.Getenv("ADDR"), "$STORE", ts.Getenv("STORE"))
	for _, name := range args {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(values.Replace(ts.ReadFile(name))), 0o600))
	}
}

// exitCode is "status CODE COMMAND…": it runs a command as exec does, and checks its exit
// code.
func exitCode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("%s: exit code %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// mode is "mode MODE FILE…": it checks the permissions of the files.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("mode of %s: %s, want %s", name, got, args[0])
		}
	}
}

// makeCertificate is "certificate NAME LEFT VALIDITY": it makes the certificate of a CA for
// localhost, NAME.crt, and its key, NAME.key. It ends in LEFT and is valid for VALIDITY.
func makeCertificate(ts *testscript.TestScript, _ bool, args []string) {
	left, err := time.ParseDuration(args[1])
	ts.Check(err)
	validity, err := time.ParseDuration(args[2])
	ts.Check(err)
	end := time.Now().Add(left)
	ts.Check(writeCertificateFiles(ts.MkAbs(args[0]+".crt"), ts.MkAbs(args[0]+".key"), x509.Certificate{
		Subject: pkix.Name{CommonName: args[0]}, DNSNames: []string{"localhost"}, IsCA: true, NotBefore: end.Add(-validity), NotAfter: end,
	}))
}

// checkMetric is "metric LINE": it checks that /metrics of the server at $ADDR has the line.
func checkMetric(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := http.Get("http://" + ts.Getenv("ADDR") + "/metrics")
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if !strings.Contains("\n"+string(text), "\n"+args[0]+"\n") {
		ts.Fatalf("/metrics lacks %s", args[0])
	}
}

// execSQLite is "sqlite FILE STATEMENT": it executes a statement on a SQLite file, as
// another program would. It creates the file, for its owner only, if it does not exist.
func execSQLite(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	conn, err := sqlite.OpenConn(file, sqlite.OpenReadWrite|sqlite.OpenCreate)
	ts.Check(err)
	ts.Check(errors.Join(sqlitex.ExecuteTransient(conn, args[1], nil), conn.Close(), os.Chmod(file, 0o600)))
}
