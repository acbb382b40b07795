package server

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"shorepass/registry"
)

// serveVersionCheck answers /v2/ as a registry without content does (distribution
// specification, "determining support"). So docker login HOST works against this
// server itself, which shows whether a failed login is the registry's fault. It
// verifies the token as a registry does. It writes no audit line, since the policy is
// not asked.
func (s *Server) serveVersionCheck(w http.ResponseWriter, r *http.Request, gen *Generation) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	err := verifyBearer(gen.Issuer, r.Header["Authorization"], s.sessions.Now())
	if err == nil {
		writeJSON(w, http.StatusOK, struct{}{})
		return
	}
	failure := gen.wireError(err)
	failure.challenge = gen.challenge(r.Host)
	if len(r.Header["Authorization"]) > 0 {
		failure.challenge += `,error="invalid_token"`
		s.log.Debug("a token was refused at /v2/", "error", failure.Error(), "address", newOrigin(r, gen.trustedProxies).peer.String())
	}
	writeError(w, failure)
}

// verifyBearer verifies the token in the Authorization header (RFC 6750, section 2.1).
// The error is errAnonymous where there is no header, and else wraps
// registry.ErrNotOurToken.
func verifyBearer(issuer *registry.Issuer, headers []string, now time.Time) error {
	if len(headers) == 0 {
		return errAnonymous
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return fmt.Errorf("%w: the Authorization header is not one Bearer token", registry.ErrNotOurToken)
	}
	_, err := issuer.Verify(token, now)
	return err
}

// challenge returns the WWW-Authenticate header that names the token endpoint. It is at
// the host of the request if that is one of public_urls, since some clients accept no
// other host.
func (g *Generation) challenge(host string) string {
	realm := g.publicURL(host) + g.Config.Paths[0]
	// %q writes a quoted-string of RFC 9110, section 5.6.4, since URLs and
	// names of services hold no control characters.
	return fmt.Sprintf("Bearer realm=%q,service=%q", realm, g.Issuer.FirstService())
}
