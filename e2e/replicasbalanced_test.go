package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"shorepass/session/postgres/postgrestest"
)

// balanced starts a round-robin load balancer of replicas, which skips those that
// accept no connection. The returned server has its URL, and no process.
func balanced(t *testing.T, r replicas) *server {
	t.Helper()
	var next atomic.Int64
	address := listener(t, func(near net.Conn) {
		for range r {
			far, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r[int(next.Add(1))%len(r)].port))
			if err != nil {
				continue
			}
			defer far.Close()
			var back sync.WaitGroup
			back.Go(func() {
				io.Copy(near, far)
				near.Close()
			})
			io.Copy(far, near)
			far.Close()
			back.Wait()
			return
		}
	})
	return &server{url: "http://localhost:" + address[strings.LastIndex(address, ":")+1:], root: rootCA}
}

// replicasBalanced runs docker login, push and pull through a load balancer while one
// replica after the other is down.
func replicasBalanced(t *testing.T, pg *postgrestest.Server) {
	r := newReplicas(t, database(t, pg), options{session: `revalidate = "1s"`})
	s := balanced(t, r)
	registry := s.registry(t, distributions[1])
	alice, i := testUsers()["alice"], dockerImage(t)
	for _, docker := range dockers() {
		h := newHome(t)
		if s := docker.login(t, h, registry.host, "alice", alice.password); !s.ok {
			t.Fatalf("%s login: %v", docker.name, s)
		}
		if h.stored(t, registry.host).IdentityToken == "" {
			t.Fatalf("%s login stored no identity token", docker.name)
		}
		for n, down := range r {
			down.kill()
			ref := fmt.Sprintf("%s/team-alpha/balanced:%d", registry.host, n)
			if err := upload(t, resolver(t, h), i, ref, ""); err != nil {
				t.Errorf("push while replica %d is down: %v", n, err)
			}
			for _, c := range []client{crane(), oras()} {
				if s := c.pull(t, h, ref); !s.ok || !s.hasDigest(i.layer.digest()) {
					t.Errorf("%s pull while replica %d is down: %v", c.name, n, s)
				}
			}
			down.launch(t)
			down.healthy(t)
		}
	}
}
