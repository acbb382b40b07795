package registry_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"shorepass/registry"
)

func Example() {
	dir, err := os.MkdirTemp("", "shorepass")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	cfg := registry.Config{
		Issuer:          "gitlab-issuer",
		Services:        []string{"container_registry"},
		RootCertificate: filepath.Join(dir, "RootCA.crt"),
		RootKey:         filepath.Join(dir, "RootCA.key"),
	}
	if err := registry.CreateRoot(cfg.RootCertificate, cfg.RootKey); err != nil {
		log.Fatal(err)
	}
	issuer, err := registry.NewIssuer(cfg.WithDefaults(), nil, func(err error) { log.Print(err) })
	if err != nil {
		log.Fatal(err)
	}

	scopes, err := registry.ParseScopes([]string{"repository:team-a/app:pull,push repository:..:pull"})
	if err != nil {
		log.Fatal(err)
	}
	service, err := issuer.Service("") // the only one
	if err != nil {
		log.Fatal(err)
	}
	var access []registry.Access
	for _, s := range scopes {
		access = append(access, registry.Access(s))
	}
	token, err := issuer.Mint(service, "alice", access, registry.At(time.Now()))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(scopes, service, token.ExpiresIn, len(token.Reveal()) > 0)
	// Output: [repository:team-a/app:pull,push] container_registry 5m0s true
}
