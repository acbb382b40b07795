package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"shorepass/config"
	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/file"
	"shorepass/providers/providertest"
)

// TestFormTakesNoTokens: the chain knows our tokens of every kind, and the form of the
// sign-in page hands none to a provider.
func TestFormTakesNoTokens(t *testing.T) {
	passwords := []string{"sp_r_x", "sp_p_x", "sp_b_x", "sp_w_x", "sp_o_x", "a password"}
	text := "[token]\nservices = [\"registry\"]\nissuer = \"shorepass\"\n[session]\nstore = \"sqlite:sessions.db\"\n[[provider]]\nname = \"local\"\nkind = \"file\"\n"
	for i, password := range passwords {
		hash, err := file.Hash(secret.New(password))
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("[[provider.user]]\nname = \"user%d\"\npassword = %q\n", i, hash)
	}
	path := filepath.Join(t.TempDir(), "shorepass.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, kinds)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := newChain(&resolvedConfig{Config: cfg}, providertest.NewThrottle(), providers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	for i, password := range passwords {
		_, err := chain.SignInByForm(t.Context(), providers.Credential{Login: providers.Login(fmt.Sprint("user", i)), Secret: secret.New(password)})
		if rejected := errors.Is(err, providers.ErrRejected); rejected != (password != "a password") {
			t.Errorf("SignInByForm with %q = %v", password, err)
		}
	}
}
