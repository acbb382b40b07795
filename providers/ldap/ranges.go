package ldap

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	ldap "github.com/go-ldap/ldap/v3"
)

// maxValues bounds the values of an attribute that comes in ranges.
const maxValues = 100_000

// fetchRanges reads the other values of attributes of which Active Directory sent only
// the first ones, as "member;range=0-1499" (range retrieval; [MS-ADTS], section
// 3.1.1.3.1.3.3). It changes e.
func fetchRanges(ctx context.Context, s searcher, e entry) error {
	for name := range e.attributes {
		base, upper, ranged := parseRange(name)
		if !ranged {
			continue
		}
		values := e.attributes[name]
		delete(e.attributes, name)
		for upper >= 0 {
			asked := fmt.Sprintf("%s;range=%d-*", base, upper+1)
			found, err := s.find(ctx, query{base: e.dn, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: []string{asked}})
			if err != nil {
				return fmt.Errorf("read %s of %s: %w", asked, e.dn, err)
			}
			more, next := nextRange(found, base)
			if len(values)+len(more) > maxValues || len(more) == 0 && next >= 0 || next >= 0 && next <= upper {
				return fmt.Errorf("read %s of %s: values that do not end", base, e.dn)
			}
			values, upper = append(values, more...), next
		}
		e.attributes[base] = append(e.attributes[base], values...)
	}
	return nil
}

// parseRange splits "memberof;range=0-1499" into the attribute and the upper bound,
// which is -1 for the last range.
func parseRange(name string) (base string, upper int, ok bool) {
	base, bounds, found := strings.Cut(name, ";range=")
	if !found {
		return "", 0, false
	}
	_, last, found := strings.Cut(bounds, "-")
	if !found {
		return "", 0, false
	}
	if last == "*" {
		return base, -1, true
	}
	upper, err := strconv.Atoi(last)
	return base, upper, err == nil && upper >= 0
}

// nextRange returns the values of the range in a search result, and its upper bound.
func nextRange(found []entry, base string) (values [][]byte, upper int) {
	for _, e := range found {
		for name, v := range e.attributes {
			if b, u, ok := parseRange(name); ok && b == base {
				return v, u
			}
		}
	}
	return nil, -1
}
