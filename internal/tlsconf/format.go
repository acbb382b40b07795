package tlsconf

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
)

// Formats that people save certificates in, other than PEM.
var (
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2} // PKCS #7 (RFC 2315, section 9)
	utf16Marks    = [][]byte{{0xff, 0xfe}, {0xfe, 0xff}}
)

// otherFormat returns what a file holds instead of PEM certificates, and the command
// that makes some of it, as the end of a sentence; "" if it is not recognized.
func otherFormat(data []byte, name string) string {
	for _, mark := range utf16Marks {
		if bytes.HasPrefix(data, mark) {
			return "is UTF-16 text: save it as UTF-8 or ASCII"
		}
	}
	var contentType asn1.ObjectIdentifier // of PKCS #7
	var version int                       // of PKCS #12 (RFC 7292, section 4)
	var der asn1.RawValue
	_, err := asn1.Unmarshal(data, &der)
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return "is empty"
	case err != nil || der.Class != asn1.ClassUniversal || der.Tag != asn1.TagSequence:
		return ""
	}
	if _, err := x509.ParseCertificates(data); err == nil {
		return fmt.Sprintf("is DER, not PEM: convert it with openssl x509 -inform der -in %s -out NEW.pem", name)
	}
	if firstOf(der, &contentType) && contentType.Equal(oidSignedData) {
		return fmt.Sprintf("is PKCS #7, not PEM: convert it with openssl pkcs7 -inform der -print_certs -in %s -out NEW.pem", name)
	}
	if firstOf(der, &version) && version == 3 {
		return fmt.Sprintf("is PKCS #12, not PEM: convert it with openssl pkcs12 -in %s -nokeys -out NEW.pem", name)
	}
	return "is DER, not PEM"
}

// firstOf reads the first element of a DER sequence.
func firstOf(der asn1.RawValue, to any) bool {
	_, err := asn1.Unmarshal(der.Bytes, to)
	return err == nil
}

// blockProblem returns why a PEM block that is not "CERTIFICATE" may not be skipped,
// since it holds certificates in another form, or "".
func blockProblem(block *pem.Block, name string) string {
	switch block.Type {
	case "PKCS7", "CMS", "PKCS #7 SIGNED DATA":
		return fmt.Sprintf("convert it with openssl pkcs7 -print_certs -in %s -out NEW.pem", name)
	case "TRUSTED CERTIFICATE", "X509 CERTIFICATE":
		return fmt.Sprintf("convert it with openssl x509 -in %s -out NEW.pem", name)
	}
	return ""
}
