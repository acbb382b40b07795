package registry

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"strings"
	"testing"
)

// TestDeterministicSignature compares signatures with the examples of RFC 6979
// (appendix A.2.5, A.2.6 and A.2.7, the message "sample" and the curve's own
// hash).
func TestDeterministicSignature(t *testing.T) {
	for _, test := range []struct {
		method deterministicECDSA
		curve  elliptic.Curve
		key    string
		r, s   string
	}{
		{es256, elliptic.P256(), "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
			"EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
			"F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"},
		{es384, elliptic.P384(), "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
			"94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46",
			"99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8"},
		{es512, elliptic.P521(), "00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC1466F6D8FBEC67DB89EC0C08B0E996B83538",
			"00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E25A1EE9017B5D450606ADD152B534931D7D4E8455CC91F9B15BF05EC36E377FA",
			"00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF282623EAA63E5B5C0723D8B8C37FF0777B1A20F8CCB1DCCC43997F1EE0E44DA4A67A"},
	} {
		t.Run(test.method.Alg(), func(t *testing.T) {
			raw, _ := hex.DecodeString(test.key)
			key, err := ecdsa.ParseRawPrivateKey(test.curve, raw)
			if err != nil {
				t.Fatal(err)
			}
			got, err := test.method.Sign("sample", key)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := hex.DecodeString(test.r + test.s)
			if !bytes.Equal(got, want) {
				t.Errorf("Sign = %X, want %X", got, want)
			}
			if err := test.method.Verify("sample", got, key.Public()); err != nil {
				t.Errorf("golang-jwt does not verify it: %v", err)
			}
		})
	}
}

// TestDeterministicSignatureIsPadded: a number with a zero byte in front keeps
// its length. It signs until each of the two numbers was one, which one of 256
// is.
func TestDeterministicSignatureIsPadded(t *testing.T) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	short := [2]int{}
	for i := 0; short[0] == 0 || short[1] == 0; i++ {
		input := strings.Repeat("x", i)
		got, err := es256.Sign(input, key)
		if err != nil || len(got) != es256Signature {
			t.Fatalf("Sign = %d bytes, %v", len(got), err)
		}
		if err := es256.Verify(input, got, key.Public()); err != nil {
			t.Fatalf("%X: %v", got, err)
		}
		for half := range short {
			if got[half*32] == 0 {
				short[half]++
			}
		}
	}
}

// TestDeterministicSignatureRefusesOtherKeys: a method signs with a key of its
// own curve alone.
func TestDeterministicSignatureRefusesOtherKeys(t *testing.T) {
	other, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), bytes.Repeat([]byte{7}, 48))
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{
		"another curve": other,
		"another kind":  ed25519.NewKeyFromSeed(make([]byte, 32)),
	} {
		if got, err := es256.Sign("sample", key); err == nil {
			t.Errorf("%s: Sign = %X, want an error", name, got)
		}
	}
}
