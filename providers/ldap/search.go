package ldap

import (
	"cmp"
	"context"
	"time"

	ldap "github.com/go-ldap/ldap/v3"
)

// pageSize is the page size of paged searches (RFC 2696).
const pageSize = 500

// searcher searches the directory, as the service account or as the person.
type searcher interface {
	// find returns the entries that match. An error that is the server's
	// answer comes with the entries that preceded it.
	find(ctx context.Context, q query) ([]entry, error)
}

// query is one search request.
type query struct {
	base       string
	scope      int
	filter     string
	attributes []string
	sizeLimit  int           // of entries; 0 for no limit
	timeLimit  time.Duration // at the server; 0 for the timeout of an operation
	paged      bool          // request pages if the server has them, for results that may be long
}

func searchScope(scope string) int {
	if scope == scopeOne {
		return ldap.ScopeSingleLevel
	}
	return ldap.ScopeWholeSubtree
}

// find implements searcher as the service account, in the share of the service's
// own operations. Those of Ping may look at every entry: the server ends them before the
// client does, which would take it for one that is down.
func (d *directory) find(ctx context.Context, q query) ([]entry, error) {
	q.timeLimit = d.timeout / 2
	return d.inShare(serviceShare).find(ctx, q)
}

// accountSearcher searches as the service account. Its operations take connections
// in the share of one account.
type accountSearcher struct {
	*directory
	shareKey string
}

// inShare returns a searcher for one share of the connections.
func (d *directory) inShare(shareKey string) accountSearcher { return accountSearcher{d, shareKey} }

func (d accountSearcher) find(ctx context.Context, q query) ([]entry, error) {
	found, err := d.searchBy(q, false, func(operation func(*conn) error) error { return d.search.do(ctx, d.shareKey, operation) })
	return found, d.searchError(err)
}

// searchBy runs a search. do runs an operation on a connection, with a person's ownRights
// or the service account's.
func (d *directory) searchBy(q query, ownRights bool, do func(operation func(*conn) error) error) ([]entry, error) {
	names, err := d.names.read(ownRights, do)
	if err != nil {
		return nil, err // no connection, or no answer: it says nothing of the schema
	}
	var found []entry
	err = do(func(c *conn) (err error) {
		found, err = d.searchOn(c, q, names)
		return err
	})
	return found, err
}

// searchOn runs a search on one connection. It counts references to other servers
// and does not follow them.
func (d *directory) searchOn(c *conn, q query, names *attributeNames) ([]entry, error) {
	request := &ldap.SearchRequest{
		BaseDN: q.base, Scope: q.scope, DerefAliases: d.deref, Filter: q.filter, Attributes: q.attributes, SizeLimit: q.sizeLimit,
		TimeLimit: int((cmp.Or(q.timeLimit, d.timeout) + time.Second - 1) / time.Second), // the client waits no longer
	}
	var result *ldap.SearchResult
	var err error
	began := time.Now()
	if q.paged && c.server.hasControl(ldap.ControlTypePaging) {
		result, err = c.ldap.SearchWithPaging(request, pageSize)
	} else {
		result, err = c.ldap.Search(request)
	}
	c.requests.Record(requestSearch, began, isFailure(err))
	if result == nil {
		return nil, err
	}
	d.referrals.Add(int64(len(result.Referrals)))
	if resultCode(err) == ldap.LDAPResultReferral {
		d.referrals.Add(1)
	}
	found := make([]entry, len(result.Entries))
	for i, e := range result.Entries {
		found[i] = newEntry(e, names)
	}
	return found, err
}

// personConn searches with the rights of the person who just logged in, on a
// dedicated connection that is closed afterwards.
type personConn struct {
	*directory
	conn    *conn
	release func()
}

// close closes the connection and gives its slot back to the pool.
func (p personConn) close() {
	p.conn.close()
	p.release()
}

func (p personConn) find(ctx context.Context, q query) ([]entry, error) {
	found, err := p.searchBy(q, true, func(operation func(*conn) error) error {
		return p.conn.do(ctx, p.timeout, longResponse, func(*ldap.Conn) error { return operation(p.conn) })
	})
	if resultCode(err) == ldap.LDAPResultInsufficientAccessRights {
		err = withCure(err, cure{"bind_dn", "the person may not read there, or must change the password first: give people the right to read their entries and groups, or write bind_dn and bind_password"})
	}
	return found, err
}
