package ldap

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"shorepass/providers"
)

// subjectOf returns the subject of an entry: the value of the attribute that never
// changes for a person.
func subjectOf(e entry, attribute string) (string, error) {
	values := e.values(attribute)
	if len(values) != 1 {
		return "", reject("%s shows %d values of %s, which must be one", e.dn, len(values), attribute)
	}
	if isGUID(attribute) {
		return formatGUID(values[0])
	}
	subject, ok := formatSubject(values[0])
	if !ok {
		return "", reject("%s of %s is empty, or a text that begins with %q as the subjects of binary values do", attribute, e.dn, hexPrefix)
	}
	return subject, nil
}

// isGUID reports whether an attribute is objectGUID, by its name or its object
// identifier.
func isGUID(attribute string) bool {
	return strings.EqualFold(attribute, attrGUID) || attribute == "1.2.840.113556.1.4.2"
}

// hexPrefix begins the subject of a binary value.
const hexPrefix = "0x"

// formatSubject returns the subject of a value: a text as it is, and a binary value,
// such as eDirectory's GUID, in hex after hexPrefix. Invariant: no two values have the
// same subject; a text that is also the subject of a binary value has none.
//
// The value alone decides and not the schema: a subject must not change when the
// schema cannot be read.
func formatSubject(raw []byte) (subject string, ok bool) {
	if !isText(raw) {
		return hexPrefix + hex.EncodeToString(raw), len(raw) > 0
	}
	_, binary := parseHex(string(raw))
	return string(raw), !binary
}

// parseSubject is the inverse of formatSubject.
func parseSubject(subject string) []byte {
	if raw, binary := parseHex(subject); binary {
		return raw
	}
	return []byte(subject)
}

// parseHex returns the value of a subject that formatSubject made of a binary one.
func parseHex(subject string) (raw []byte, ok bool) {
	digits, found := strings.CutPrefix(subject, hexPrefix)
	raw, err := hex.DecodeString(digits)
	return raw, found && err == nil && len(raw) > 0 && !isText(raw) && hex.EncodeToString(raw) == digits
}

// isText reports whether a value is UTF-8 without control characters.
func isText(raw []byte) bool {
	return len(raw) > 0 && utf8.Valid(raw) && !strings.ContainsFunc(string(raw), unicode.IsControl)
}

// reject returns a rejection by our own configuration: the directory accepts the
// account, but the entry lacks what the configuration requires.
func reject(format string, args ...any) error {
	return providers.Reject(providers.RefusedByConfig, fmt.Errorf(format, args...))
}

// subjectFilter returns the filter that matches the entry with this subject.
func subjectFilter(subject, attribute string) (string, error) {
	if !isGUID(attribute) {
		if subject == "" {
			return "", errors.New("empty subject")
		}
		return "(" + commonName(attribute) + "=" + escapeBytes(parseSubject(subject)) + ")", nil
	}
	raw, err := parseGUID(subject)
	if err != nil {
		return "", err
	}
	return "(" + attribute + "=" + escapeBytes(raw) + ")", nil
}

// escapeBytes escapes every byte of an assertion value (RFC 4515, section 3).
func escapeBytes(raw []byte) string {
	var b strings.Builder
	for _, c := range raw {
		fmt.Fprintf(&b, `\%02x`, c)
	}
	return b.String()
}

// formatGUID formats an objectGUID as Active Directory's tools do: the first three of
// its five parts are little endian ([MS-DTYP], section 2.3.4).
func formatGUID(raw []byte) (string, error) {
	if len(raw) != 16 {
		return "", reject("%s of %d bytes", attrGUID, len(raw))
	}
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x",
		binary.LittleEndian.Uint32(raw), binary.LittleEndian.Uint16(raw[4:]), binary.LittleEndian.Uint16(raw[6:]), raw[8:10], raw[10:]), nil
}

// parseGUID is the inverse of formatGUID.
func parseGUID(text string) ([]byte, error) {
	parts := strings.Split(text, "-")
	raw, err := hex.DecodeString(strings.Join(parts, ""))
	if err != nil || len(raw) != 16 || len(parts) != 5 {
		return nil, fmt.Errorf("%q is not a GUID", text)
	}
	for i, part := range parts {
		if len(part) != []int{8, 4, 4, 4, 12}[i] {
			return nil, fmt.Errorf("%q is not a GUID", text)
		}
	}
	binary.LittleEndian.PutUint32(raw, binary.BigEndian.Uint32(raw))
	binary.LittleEndian.PutUint16(raw[4:], binary.BigEndian.Uint16(raw[4:]))
	binary.LittleEndian.PutUint16(raw[6:], binary.BigEndian.Uint16(raw[6:]))
	return raw, nil
}
