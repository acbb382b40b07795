package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"shorepass/internal/latency"
	"shorepass/internal/secret"
)

// errServiceAccount says that the directory refuses the service account. This is a
// fault of the configuration and concerns no user.
var errServiceAccount = errors.New("the directory refuses the service account")

// serviceBindBackoff is the backoff after a refused bind of the service account. It
// keeps a mistyped password from locking that account.
const serviceBindBackoff = 30 * time.Second

// directory is a directory: its servers, with two connection pools.
type directory struct {
	list      *serverList
	search    *pool // bound as the service account, or anonymous
	bind      *pool // bound as the person who came last; never searched on
	timeout   time.Duration
	encrypted bool // connections to all servers use TLS

	deref int // the aliases that searches follow

	bindDN       string
	bindPassword secret.Text

	names        namesCache
	slowAccounts *slowAccounts
	requests     *latency.Recorder
	referrals    atomic.Int64 // referrals and references that were not followed

	mu             sync.Mutex
	serviceRetryAt time.Time // no bind of the service account before
	serviceErr     error     // of its last refused bind
}

func newDirectory(cfg Config) (*directory, error) {
	list, err := newServerList(cfg)
	if err != nil {
		return nil, err
	}
	d := &directory{
		timeout:   cfg.Timeout,
		list:      list,
		encrypted: cfg.StartTLS || !slices.ContainsFunc(cfg.URLs, func(raw string) bool { return strings.HasPrefix(raw, "ldap:") }),
		deref:     derefs[cfg.Deref],
		bindDN:    cfg.BindDN, bindPassword: cfg.BindPassword,
		slowAccounts: newSlowAccounts(), requests: newRequests(),
	}
	d.search = newPool(cfg.SearchConnections, list, cfg.Timeout, cfg.DialTimeout, d.requests)
	d.search.prepare = d.bindService
	d.bind = newPool(cfg.BindConnections, list, cfg.Timeout, cfg.DialTimeout, d.requests)
	d.bind.probeIfDue = d.probeIfDue
	return d, nil
}

// bindService binds a fresh connection as the service account. This also proves
// that the server works, and not only that its port is open.
func (d *directory) bindService(ctx context.Context, c *conn) error {
	if d.bindDN == "" {
		return c.firstAnswerError(c.readFeatures(ctx, d))
	}
	d.mu.Lock()
	waiting, err := time.Now().Before(d.serviceRetryAt), d.serviceErr
	d.mu.Unlock()
	if waiting {
		return err
	}
	response, err := c.bind(ctx, d.timeout, d.bindDN, d.bindPassword, false)
	if err != nil {
		return c.firstAnswerError(fmt.Errorf("bind as the service account: %w", err))
	}
	switch err = response.err(); {
	case err == nil && !c.server.featuresKnown():
		return c.readFeatures(ctx, d)
	case err == nil || busyOrUnavailable(err):
		return err
	}
	err = d.serviceBindError(c, response)
	d.mu.Lock()
	d.serviceRetryAt, d.serviceErr = time.Now().Add(serviceBindBackoff), err
	d.mu.Unlock()
	return err
}

// close closes both pools and waits for operations in flight.
func (d *directory) close() {
	d.bind.close()
	d.search.close()
}
