package ldap

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
)

// pageSize is how many entries are asked for at once where there may be many.
const pageSize = 500

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

// searcher searches, with whoever's rights.
type searcher interface {
	// find returns the entries that match. An error that is the server's
	// answer comes with the entries that came before it.
	find(ctx context.Context, q query) ([]entry, error)
}

// query is one search.
type query struct {
	base       string
	scope      int
	filter     string
	attributes []string
	sizeLimit  int  // entries; 0 for as many as there are
	paged      bool // in pages, where there may be many
}

func searchScope(scope string) int {
	if scope == scopeOne {
		return ldap.ScopeSingleLevel
	}
	return ldap.ScopeWholeSubtree
}

// find implements searcher with the rights of the service account, for the
// service itself.
func (d *directory) find(ctx context.Context, q query) ([]entry, error) {
	return d.inShare(serviceShare).find(ctx, q)
}

// accountSearcher searches with the rights of the service account, in the share of one
// account.
type accountSearcher struct {
	*directory
	shareKey string
}

// inShare returns what searches in the share of an account.
func (d *directory) inShare(shareKey string) accountSearcher { return accountSearcher{d, shareKey} }

func (d accountSearcher) find(ctx context.Context, q query) ([]entry, error) {
	var found []entry
	err := d.search.do(ctx, d.shareKey, func(l *ldap.Conn) (err error) {
		found, err = d.searchOn(l, q)
		return err
	})
	return found, err
}

// searchOn searches on one connection. References to other servers are counted and
// left alone.
func (d *directory) searchOn(l *ldap.Conn, q query) ([]entry, error) {
	request := &ldap.SearchRequest{
		BaseDN: q.base, Scope: q.scope, Filter: q.filter, Attributes: q.attributes, SizeLimit: q.sizeLimit,
		TimeLimit: int((d.timeout + time.Second - 1) / time.Second), // nobody waits for it longer
	}
	var result *ldap.SearchResult
	var err error
	if q.paged {
		result, err = l.SearchWithPaging(request, pageSize)
	} else {
		result, err = l.Search(request)
	}
	if result == nil {
		return nil, err
	}
	d.referrals.Add(int64(len(result.Referrals)))
	if resultCode(err) == ldap.LDAPResultReferral {
		d.referrals.Add(1)
	}
	found := make([]entry, len(result.Entries))
	for i, e := range result.Entries {
		found[i] = newEntry(e)
	}
	return found, err
}

// personConn searches with the rights of the person who just logged in, on a
// connection of its own that is closed after.
type personConn struct {
	*directory
	conn    *conn
	release func()
}

// close closes the connection, so that another may be opened.
func (p personConn) close() {
	p.conn.close()
	p.release()
}

func (p personConn) find(ctx context.Context, q query) ([]entry, error) {
	var found []entry
	err := p.conn.do(ctx, p.timeout, longResponse, func(l *ldap.Conn) (err error) {
		found, err = p.searchOn(l, q)
		return err
	})
	return found, err
}

// close closes both pools and waits for whoever is using them.
func (d *directory) close() {
	d.bind.close()
	d.search.close()
}
