package secret

import "regexp"

var (
	// userinfo is what is before the host of a URL, up to the last "@" of a quoted text
	// where it has a password, which people write unescaped. A URL that was taken for a
	// path has one slash.
	userinfo = regexp.MustCompile(`(//|[a-z]{2}:/)(?:[^\s"/@:\[]*:[0-9]*[^"/0-9\n](?:[^"\\\n]|\\.)*|[^\s"/@]+)@`)

	query = regexp.MustCompile(`(//[^\s"?]*\?)[^\s"]+`)
)

// RedactUserinfo returns a text with what is before the host of each URL in it redacted: a
// name and a password, or a token.
func RedactUserinfo(text string) string {
	return userinfo.ReplaceAllString(text, "${1}"+redacted+"@")
}

// RedactURLs redacts also the query of each URL, for a text about URLs that have none.
func RedactURLs(text string) string {
	return query.ReplaceAllString(RedactUserinfo(text), "${1}"+redacted)
}
