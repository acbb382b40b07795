package config

import (
	"reflect"

	"shorepass/internal/certwatch"
	"shorepass/internal/tlsconf"
)

var tlsType = reflect.TypeFor[tlsconf.Config]()

// certificateFiles is implemented by options that name certificates outside of a tls
// table. key is that of their table.
type certificateFiles interface {
	CertificateFiles(key string) ([]certwatch.File, error)
}

// TLSCertificates returns the certificate files of every tls table: the server's, the
// ACME directory's, the collector's, those of the providers and the store's; and those
// that the options of a provider name besides.
func (c *Config) TLSCertificates() ([]certwatch.File, error) {
	tables := []struct {
		at      string
		options reflect.Value
	}{{"server", reflect.ValueOf(c.Server)}, {"server.acme", reflect.ValueOf(c.Server.ACME)}, {"audit", reflect.ValueOf(c.Audit)}, {"session", reflect.ValueOf(c.Session)}}
	for i, p := range c.Providers {
		tables = append(tables, struct {
			at      string
			options reflect.Value
		}{element("provider", i), reflect.ValueOf(p.options).Elem()})
	}
	var all []certwatch.File
	for _, table := range tables {
		for _, f := range fields(table.options.Type()) {
			if f.typ != tlsType || f.pointer {
				continue
			}
			files, err := table.options.FieldByIndex(f.index).Interface().(tlsconf.Config).Files(join(table.at, f.name))
			if err != nil {
				return nil, err
			}
			all = append(all, files...)
		}
	}
	for i, p := range c.Providers {
		if options, ok := p.options.(certificateFiles); ok {
			files, err := options.CertificateFiles(element("provider", i))
			if err != nil {
				return nil, err
			}
			all = append(all, files...)
		}
	}
	return all, nil
}
