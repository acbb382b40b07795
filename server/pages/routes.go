package pages

import (
	"fmt"
	"net/http"
)

// New builds the pages. The options must be valid.
func New(o Options) (*Pages, error) {
	p := &Pages{Options: o, protection: http.NewCrossOriginProtection(), brand: brand{Name: o.Config.Name}}
	for _, origin := range o.Origins {
		if err := p.protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("server.public_urls: %w", err)
		}
	}
	p.routes = map[string]handlers{}
	return p, nil
}
