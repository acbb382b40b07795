package ldap

import (
	"slices"
	"strings"
	"sync/atomic"

	ldap "github.com/go-ldap/ldap/v3"
)

// attributeNames compares attribute descriptions (RFC 4512, section 2.5): a type may
// have several names and has an object identifier, and each of them means the same
// attribute. The zero value and nil know the names of RFC 4519 alone.
type attributeNames struct {
	first map[string]string // by each name and the object identifier, in lower case: the type's first name
}

// key returns a text that is equal for all descriptions of one attribute, with its
// options in lower case and sorted.
func (n *attributeNames) key(description string) string {
	name, options, _ := strings.Cut(strings.ToLower(description), ";")
	if n != nil && n.first[name] != "" {
		name = n.first[name]
	} else {
		name = commonName(name)
	}
	if options == "" {
		return name
	}
	list := strings.Split(options, ";")
	slices.Sort(list)
	return name + ";" + strings.Join(list, ";")
}

// commonName returns a description with the name that every server knows the attribute
// by, for requests and filters. It leaves "streetAddress", which is an attribute of its
// own at Active Directory.
func commonName(description string) string {
	name, options, _ := strings.Cut(description, ";")
	if short, ok := shortNames[strings.ToLower(name)]; ok && short != "street" {
		name = short
	}
	if options != "" {
		name += ";" + options
	}
	return name
}

// parseAttributeTypes reads the definitions of a subschema (RFC 4512, section 4.1.2),
// such as "( 2.5.4.3 NAME ( 'cn' 'commonName' ) SUP name )". What it cannot read it
// leaves out.
func parseAttributeTypes(definitions []string) *attributeNames {
	n := &attributeNames{first: make(map[string]string, 2*len(definitions))}
	for _, definition := range definitions {
		words := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(strings.ToLower(definition)))
		at := slices.Index(words, "name")
		if len(words) < 2 || words[0] != "(" || at < 0 {
			continue
		}
		oid, names := words[1], quotedNames(words[at+1:])
		for _, name := range names {
			n.first[name] = names[0]
		}
		if len(names) > 0 {
			n.first[oid] = names[0]
		}
	}
	return n
}

// quotedNames returns the names at the beginning of words: one 'name', or several in
// parentheses (qdescrs of RFC 4512, section 4.1).
func quotedNames(words []string) []string {
	if len(words) > 0 && words[0] == "(" {
		words = words[1:]
	}
	var names []string
	for _, word := range words {
		if len(word) < 3 || word[0] != '\'' || word[len(word)-1] != '\'' {
			break
		}
		names = append(names, word[1:len(word)-1])
	}
	return names
}

// namesCache holds the names of a directory's attributes, which are read once: a
// server's schema seldom changes, and a reload reads it again. It holds none for a
// directory that does not show its schema.
type namesCache struct {
	names atomic.Pointer[attributeNames]
}

// read returns the names, and reads them from the subschema at first use. do runs an
// operation on a connection, with a person's ownRights or the service account's. That one
// person may not read them says nothing of others, and is not cached. The error means that
// the server gave no answer.
func (c *namesCache) read(ownRights bool, do func(operation func(*conn) error) error) (*attributeNames, error) {
	if names := c.names.Load(); names != nil {
		return names, nil
	}
	names := new(attributeNames)
	err := do(func(on *conn) (err error) {
		names, err = readAttributeNames(on.ldap)
		return err
	})
	if err != nil && (!answered(err) || busyOrUnavailable(err)) {
		return nil, err
	}
	if len(names.first) > 0 || !ownRights {
		c.names.Store(names)
	}
	return names, nil
}

// readAttributeNames reads the attribute types of the subschema that the root DSE names
// (RFC 4512, section 4.2).
func readAttributeNames(l *ldap.Conn) (*attributeNames, error) {
	root, err := l.Search(&ldap.SearchRequest{Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)", Attributes: []string{"subschemaSubentry"}})
	if err != nil {
		return new(attributeNames), err
	}
	for _, e := range root.Entries {
		dn := newEntry(e, nil).text("subschemaSubentry")
		if dn == "" {
			continue
		}
		schema, err := l.Search(&ldap.SearchRequest{BaseDN: dn, Scope: ldap.ScopeBaseObject, Filter: "(objectClass=subschema)", Attributes: []string{"attributeTypes"}})
		if err != nil {
			return new(attributeNames), err
		}
		for _, e := range schema.Entries {
			return parseAttributeTypes(newEntry(e, nil).texts("attributeTypes")), nil
		}
	}
	return new(attributeNames), nil
}
