package postgres

import "shorepass/session"

// ExportServerName returns the names that hosts must prove, those that need
// prove none left out, or an error.
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
