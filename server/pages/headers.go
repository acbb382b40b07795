package pages

import "net/http"

// contentSecurityPolicy allows what the pages need, which is a stylesheet, a script and a
// logo of their own, and forms that are posted to them.
const contentSecurityPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// setSecurityHeaders sets the header fields that every response of the pages has.
//
// The referrer has the origin alone, so that the query of a callback reaches no other
// site. It is not left out: without a referrer browsers send "Origin: null" with a form
// (Fetch, section 3.2), and those that send no Sec-Fetch-Site would be taken for another origin.
//
// Strict-Transport-Security is left to the operator's proxy: it would hold for every port
// of the host, such as for a registry without TLS.
func setSecurityHeaders(h http.Header) {
	if h.Get("Content-Security-Policy") == "" { // a logo has its own
		h.Set("Content-Security-Policy", contentSecurityPolicy)
	}
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Referrer-Policy", "strict-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Robots-Tag", "noindex")
	if h.Get("Cache-Control") == "" { // a stylesheet has its own
		h.Set("Cache-Control", "no-store")
	}
}
