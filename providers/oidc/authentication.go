package oidc

import "shorepass/providers"

// Limits of what is kept of how a person authenticated.
const (
	maxMethods = 16
	maxMethod  = 256 // bytes of acr, and of each amr
)

// authentication returns acr and amr, how the person authenticated (OpenID Connect
// Core 1.0, section 2). Of a value that is not of its kind nothing is returned.
func (d claimSet) authentication() (acr string, amr []string) {
	if text, ok := d["acr"].(string); ok && providers.TextProblem(text) == "" && len(text) <= maxMethod {
		acr = text
	}
	list, _ := d["amr"].([]any)
	for _, value := range list {
		text, ok := value.(string)
		if !ok || providers.TextProblem(text) != "" || len(text) > maxMethod || len(amr) == maxMethods {
			return acr, nil
		}
		amr = append(amr, text)
	}
	return acr, amr
}
