package ldap

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"shorepass/internal/secret"
)

// errServiceAccount says that the directory does not take the service account.
// That is a fault of the configuration, and no user's.
var errServiceAccount = errors.New("the directory refuses bind_dn or bind_password")

// serviceBindBackoff is how long a service account that was refused is left alone, so
// that a mistyped password does not lock it.
const serviceBindBackoff = 30 * time.Second

// directory is the servers and the two pools of connections to them.
type directory struct {
	servers       []*server
	search        *pool // bound as the service account, or not at all
	bind          *pool // bound as whoever came last, and never searched on
	timeout       time.Duration
	policyControl bool // ask for the reason at a bind

	bindDN       string
	bindPassword secret.Text

	slowAccounts *slowAccounts // accounts
	referrals    atomic.Int64  // that were not followed

	mu             sync.Mutex
	serviceRetryAt time.Time // until when the service account is left alone
	serviceErr     error     // and why
}

func newDirectory(cfg Config) (*directory, error) {
	tlsConfig, err := cfg.TLS.Client()
	if err != nil {
		return nil, err
	}
	d := &directory{
		timeout:       cfg.Timeout,
		policyControl: cfg.Preset != presetAD,
		bindDN:        cfg.BindDN, bindPassword: cfg.BindPassword,
		slowAccounts: newSlowAccounts(),
	}
	for _, raw := range cfg.URLs {
		s, err := newServer(raw, tlsConfig, cfg.StartTLS)
		if err != nil {
			return nil, err
		}
		d.servers = append(d.servers, s)
	}
	d.search = newPool(cfg.SearchConnections, d.servers, cfg.Timeout, cfg.DialTimeout)
	d.search.prepare = d.bindService
	d.bind = newPool(cfg.BindConnections, d.servers, cfg.Timeout, cfg.DialTimeout)
	d.bind.probeIfDue = d.probeIfDue
	return d, nil
}

// bindService makes a fresh connection one of the service account, which also
// shows that the server is alive and not only its port.
func (d *directory) bindService(ctx context.Context, c *conn) error {
	if d.bindDN == "" {
		_, err := c.rootDSE(ctx, d.timeout, "supportedLDAPVersion")
		if answered(err) && !busyOrUnavailable(err) {
			return nil // it need not be shown to everybody
		}
		return err
	}
	d.mu.Lock()
	waiting, err := time.Now().Before(d.serviceRetryAt), d.serviceErr
	d.mu.Unlock()
	if waiting {
		return err
	}
	answer, err := c.bind(ctx, d.timeout, d.bindDN, d.bindPassword, false)
	if err != nil {
		return fmt.Errorf("bind as the service account: %w", err)
	}
	if err = answer.err(); err == nil || busyOrUnavailable(err) {
		return err
	}
	err = fmt.Errorf("%w: %s%s", errServiceAccount, answer, hint(err))
	d.mu.Lock()
	d.serviceRetryAt, d.serviceErr = time.Now().Add(serviceBindBackoff), err
	d.mu.Unlock()
	return err
}

// close closes both pools and waits for whoever is using them.
func (d *directory) close() {
	d.bind.close()
	d.search.close()
}
