package server

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"shorepass/registry"
)

// serveVersionCheck answers /v2/ as a registry does that holds nothing
// (distribution specification, "determining support"). So docker login HOST works
// straight against this server, and whoever cannot log in sees whether it is the
// registry's fault. It is as strict as a registry: the token is verified. Nothing
// is decided here, so there is no audit line.
func (s *Server) serveVersionCheck(w http.ResponseWriter, r *http.Request, gen *Generation) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	err := verifyBearer(gen.Issuer, r.Header["Authorization"], s.sessions.Now())
	if err == nil {
		writeJSON(w, http.StatusOK, struct{}{})
		return
	}
	failure := wireError(err)
	failure.challenge = gen.challenge(r.Host)
	if len(r.Header["Authorization"]) > 0 {
		failure.challenge += `,error="invalid_token"`
		s.log.Debug("a token was refused at /v2/", "error", failure.Error(), "address", newOrigin(r, gen.trustedProxies).peer.String())
	}
	writeError(w, failure)
}

// verifyBearer checks the one token in the Authorization headers (RFC 6750,
// section 2.1). The error is errAnonymous where there is no header, and
// otherwise registry.ErrNotOurToken.
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

// challenge says where to get a token: at the host that the client knows this
// server by, if it is one of public_urls, since some clients follow to no other
// one.
func (g *Generation) challenge(host string) string {
	realm, ok := g.realms[strings.ToLower(host)]
	if !ok {
		realm = g.Config.Realm()
	}
	// %q writes a quoted-string of RFC 9110, section 5.6.4, since URLs and
	// names of services hold no control characters.
	return fmt.Sprintf("Bearer realm=%q,service=%q", realm, g.Issuer.FirstService())
}
