package pages

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"

	"shorepass/internal/durable"
)

var (
	//go:embed assets/style.css
	styleSource string

	//go:embed assets/page.js
	scriptSource string

	//go:embed assets/logo.svg
	logoSource string
)

// asset is a file that pages refer to: the stylesheet, the script, the logo. Its path has a
// hash of its content, so that browsers cache it for good.
type asset struct {
	path        string
	family      string // the path up to the hash
	contentType string
	policy      string // Content-Security-Policy
	body        []byte
}

func newAsset(name, suffix, contentType, policy string, body []byte) asset {
	family, hash := "/login/"+name+"-", sha256.Sum256(body)
	return asset{fmt.Sprintf("%s%x%s", family, hash[:8], suffix), family, contentType, policy, body}
}

// newAssets makes the assets of a configuration and reads its logo.
func newAssets(c Config) (style, script, logo asset, err error) {
	const none = "default-src 'none'"
	brand, err := parseColor(c.Color)
	if err != nil {
		return style, script, logo, fmt.Errorf("pages.color: %w", err)
	}
	if logo, err = newLogo(c.Logo, brand); err != nil {
		return style, script, logo, fmt.Errorf("pages.logo: %w", err)
	}
	style = newAsset("style", ".css", "text/css; charset=utf-8", none, []byte(colorRules(brand)+styleSource))
	script = newAsset("page", ".js", "text/javascript; charset=utf-8", none, []byte(scriptSource))
	return style, script, logo, nil
}

// colorRules are the rules of the stylesheet that depend on the operator's color.
func colorRules(brand color) string {
	rule := func(background color) string {
		s := shadesOn(brand, background)
		return fmt.Sprintf(":root { --button: %s; --button-hover: %s; --button-label: %s; --link: %s; }", s.button, s.hover, s.label, s.link)
	}
	return rule(lightBackground) + "\n@media screen and (prefers-color-scheme: dark) { " + rule(darkBackground) + " }\n"
}

// maxLogo is the largest logo, in bytes. It is part of every first visit.
const maxLogo = 32 << 10

// newLogo reads the logo, and takes the embedded one in the operator's color where there is
// none. Browsers run no script of an image, and the sandbox stops those of an SVG that is
// opened as a page.
func newLogo(file string, brand color) (asset, error) {
	body := []byte(strings.NewReplacer("#0b5cad", brand.String(), "#ffffff", bestOn(brand).String()).Replace(logoSource))
	if file != "" {
		var err error
		if body, _, err = durable.Read(file, maxLogo); err != nil {
			return asset{}, err
		}
	}
	const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
	switch {
	case http.DetectContentType(body) == "image/png":
		return newAsset("logo", ".png", "image/png", policy, body), nil
	case isSVG(body):
		return newAsset("logo", ".svg", "image/svg+xml", policy, body), nil
	}
	return asset{}, fmt.Errorf("%s is neither PNG nor SVG (an <svg> with xmlns=\"http://www.w3.org/2000/svg\")", file)
}

// isSVG reports whether a file is an XML document whose root is an SVG element. Browsers
// show no image without that namespace.
func isSVG(body []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if root, ok := token.(xml.StartElement); ok {
			return root.Name.Space == "http://www.w3.org/2000/svg" && root.Name.Local == "svg"
		}
	}
}

// has reports whether a path is that of the asset, with any hash.
func (a asset) has(path string) bool {
	rest, ok := strings.CutPrefix(path, a.family)
	return ok && rest != "" && !strings.Contains(rest, "/")
}

// serve answers a request for the asset. Under the hash of another content the browser must
// not keep it: the page came from a replica of another version.
func (a asset) serve(_ *Pages, _ context.Context, v *Visit) (*Response, error) {
	caching := "public, max-age=31536000, immutable"
	if v.Request.URL.Path != a.path {
		caching = "no-store"
	}
	return &Response{Status: http.StatusOK, Body: a.body, Header: http.Header{
		"Content-Type":            {a.contentType},
		"Content-Security-Policy": {a.policy},
		"Cache-Control":           {caching},
	}}, nil
}
