package ldap

import (
	"context"
	"time"

	ldap "github.com/go-ldap/ldap/v3"
)

// pageSize is how many entries are asked for at once where there may be many.
const pageSize = 500

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
