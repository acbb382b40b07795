package oidc

import "shorepass/providers"

// Bounds of acr and amr.
const (
	maxMethods = 16  // values of amr
	maxMethod  = 256 // bytes of acr, and of each value of amr
)

// authentication returns the acr and amr claims, how the person authenticated
// (OpenID Connect Core 1.0, section 2). A malformed claim counts as missing.
func (c claimSet) authentication() (acr string, amr []string) {
	if text, ok := c["acr"].(string); ok && providers.TextProblem(text) == "" && len(text) <= maxMethod {
		acr = text
	}
	list, _ := c["amr"].([]any)
	for _, value := range list {
		text, ok := value.(string)
		if !ok || providers.TextProblem(text) != "" || len(text) > maxMethod || len(amr) == maxMethods {
			return acr, nil
		}
		amr = append(amr, text)
	}
	return acr, amr
}
