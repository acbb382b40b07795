package server

import (
	"net/http"
	"strconv"
	"strings"
)

// Paths of the metadata of this server and of its keys. The metadata are below each path
// of the token endpoint too, where a client that knows only the realm of a registry asks.
const (
	metadataPath = "/.well-known/oauth-authorization-server"
	keySetPath   = "/.well-known/jwks.json"
)

// metadataMaxAge is how long clients may cache metadata and keys, in seconds.
const metadataMaxAge = 300

// metadata is what this server is as an OAuth 2.0 authorization server (RFC 8414, section
// 2). There is no authorization endpoint, so that no response type is supported.
type metadata struct {
	Issuer                string   `json:"issuer"`
	TokenEndpoint         string   `json:"token_endpoint"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	KeySetURI             string   `json:"jwks_uri"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	RevocationAuthMethods []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
}

// serveMetadata answers with the metadata under the name by which the request came: the
// issuer is that one of public_urls (RFC 8414, section 3.3).
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request, gen *Generation) {
	issuer := gen.publicURL(r.Host)
	cacheable(w)
	writeJSON(w, http.StatusOK, metadata{
		Issuer:                issuer,
		TokenEndpoint:         issuer + gen.Config.Paths[0],
		TokenAuthMethods:      []string{"none"}, // a client_id is information only
		GrantTypes:            []string{"password", "refresh_token"},
		ResponseTypes:         []string{},
		KeySetURI:             issuer + keySetPath,
		RevocationEndpoint:    issuer + "/oauth/revoke",
		RevocationAuthMethods: []string{"none"}, // who has a token may end it
		IntrospectionEndpoint: issuer + "/oauth/introspect",
	})
}

// serveKeySet answers with the keys that sign access tokens now, for those who verify one
// and are no registry.
func (s *Server) serveKeySet(w http.ResponseWriter, _ *http.Request, gen *Generation) {
	keys, err := gen.Issuer.KeySet(s.sessions.Now())
	if err != nil {
		writeError(w, gen.wireError(err))
		return
	}
	cacheable(w)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(keys)))
	_, _ = w.Write(keys)
}

func cacheable(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(metadataMaxAge))
}

// publicURL returns the one of public_urls with that host, else the first, without a slash
// at the end.
func (g *Generation) publicURL(host string) string {
	if public, ok := g.publicURLs[strings.ToLower(host)]; ok {
		return public
	}
	return strings.TrimSuffix(g.Config.PublicURLs[0], "/")
}
