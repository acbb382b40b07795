package client

import (
	"errors"
	"strings"
)

// challenge is one challenge of a WWW-Authenticate header (RFC 9110, section 11.6.1).
type challenge struct {
	Scheme string            // in lower case: "bearer", "basic"
	Params map[string]string // by name in lower case; the first value of a repeated parameter
}

var errChallenge = errors.New("malformed WWW-Authenticate header")

// maxChallenge bounds a WWW-Authenticate header, in bytes.
const maxChallenge = 16 << 10

// parseChallenges parses the WWW-Authenticate headers of a response. A header can have
// several challenges. If a header is malformed, the error comes with the challenges
// before the fault. A challenge with a token68, which no registry sends, counts as
// malformed.
func parseChallenges(headers []string) ([]challenge, error) {
	var all []challenge
	for _, header := range headers {
		p := parser{rest: header}
		if len(header) > maxChallenge || !p.challenges(&all) {
			return all, errChallenge
		}
	}
	return all, nil
}

// parser reads one header from its beginning.
type parser struct{ rest string }

// challenges reads the whole header. It reports false where the header is malformed.
func (p *parser) challenges(all *[]challenge) bool {
	for {
		p.skip(", \t")
		if p.rest == "" {
			return true
		}
		word := p.token()
		if word == "" {
			return false
		}
		if p.skip(" \t"); !strings.HasPrefix(p.rest, "=") || len(*all) == 0 {
			*all = append(*all, challenge{strings.ToLower(word), map[string]string{}})
			continue
		}
		p.rest = p.rest[1:]
		p.skip(" \t")
		value, ok := p.value()
		if !ok {
			return false
		}
		params := (*all)[len(*all)-1].Params
		if name := strings.ToLower(word); params[name] == "" {
			params[name] = value
		}
	}
}

func (p *parser) skip(set string) { p.rest = strings.TrimLeft(p.rest, set) }

// token reads a token (RFC 9110, section 5.6.2), empty where there is none.
func (p *parser) token() string {
	end := strings.IndexFunc(p.rest, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}

// value reads a token or a quoted string (section 5.6.4).
func (p *parser) value() (string, bool) {
	if !strings.HasPrefix(p.rest, `"`) {
		word := p.token()
		return word, word != ""
	}
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return b.String(), true
		case c == '\\' && i+1 < len(p.rest):
			i++
			b.WriteByte(p.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}
