package ldap

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
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
	if strings.EqualFold(attribute, attrGUID) {
		return formatGUID(values[0])
	}
	if !utf8.Valid(values[0]) || len(values[0]) == 0 {
		return "", reject("%s of %s is not text", attribute, e.dn)
	}
	return string(values[0]), nil
}

// reject returns a rejection by our own configuration: the directory accepts the
// account, but the entry lacks what the configuration requires.
func reject(format string, args ...any) error {
	return providers.Reject(providers.RefusedByConfig, fmt.Errorf(format, args...))
}

// subjectFilter returns the filter that matches the entry with this subject.
func subjectFilter(subject, attribute string) (string, error) {
	if !strings.EqualFold(attribute, attrGUID) {
		if subject == "" {
			return "", errors.New("empty subject")
		}
		return "(" + attribute + "=" + escapeBytes([]byte(subject)) + ")", nil
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
