package postgres

import "shorepass/session"

// ExportServerName returns the names that the hosts must prove by TLS, concatenated,
// or the text of an error.
func ExportServerName(cfg session.Config) string {
	pool, err := poolConfig(cfg)
	if err != nil {
		return err.Error()
	}
	names := ""
	if c := pool.ConnConfig.TLSConfig; c != nil {
		names += c.ServerName
	}
	for _, f := range pool.ConnConfig.Fallbacks {
		if f.TLSConfig != nil {
			names += f.TLSConfig.ServerName
		}
	}
	return names
}
