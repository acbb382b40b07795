package registry

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"shorepass/internal/duration"
)

// The registries that [AuthSettings.Block] knows how to configure.
const (
	Distribution2 = "distribution2" // distribution 2.8, and docker's registry:2
	Distribution3 = "distribution3" // distribution 3, and docker's registry:3
	GitLab        = "gitlab"        // the GitLab container registry
	Zot           = "zot"
)

// AuthSettings are the settings of a registry that make it accept the tokens of
// one service. The paths of its two files are those on the registry's host, which
// can differ from ours.
type AuthSettings struct {
	Realm           string `json:"realm"` // URL of the token endpoint, as clients reach it
	Service         string `json:"service"`
	Issuer          string `json:"issuer"`
	Signing         string `json:"signing"`           // "x5c", "kid" or "libtrust"
	RootCertificate string `json:"root_certificate"`  // file of the root certificate
	KeySet          string `json:"key_set,omitempty"` // file of the JSON Web Key Set, only with "kid"

	lifetime    time.Duration
	algorithm   string   // of the tokens' signatures
	ed25519Root bool     // the root has an Ed25519 key
	sharing     []string // the other services whose tokens the same configured key signs
	bundle      string   // the root certificate's file, if it has other certificates too
}

// keySetFile is the default path of the key set for distribution 3.
const keySetFile = "/etc/distribution/jwks.json"

// AuthSettings returns the settings for the registry of a service. realm is the
// URL of the token endpoint. RootCertificate is empty where only a leaf is
// configured. The error is ErrUnknownService or says what is wrong with realm.
func (i *Issuer) AuthSettings(service, realm string) (AuthSettings, error) {
	s, ok := i.services[service]
	if !ok {
		return AuthSettings{}, fmt.Errorf("%q: %w", service, ErrUnknownService)
	}
	if u, err := url.Parse(realm); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return AuthSettings{}, fmt.Errorf("realm %q is not a URL such as %q", realm, "https://registry-auth.corp.example/jwt/auth")
	}
	settings := AuthSettings{Realm: realm, Service: s.name, Issuer: s.issuer, Signing: SigningX5C, RootCertificate: s.keyFiles.rootCertificate, lifetime: s.lifetime}
	switch keys := s.keys.(type) {
	case *staticKey:
		settings.Signing, settings.algorithm = s.keyFiles.signing, keys.signer.method.Alg()
		if settings.Signing == SigningKID {
			settings.KeySet = keySetFile
		}
		settings.sharing = i.servicesSharingKey(s)
		if len(keys.pair.others) > 0 {
			settings.bundle = s.keyFiles.rootCertificate
		}
		settings.ed25519Root = settings.algorithm == "EdDSA"
	case *rotatingLeaf:
		settings.algorithm = keys.leaf.Load().signer.method.Alg()
		settings.ed25519Root = isEd25519(keys.root.certificate)
	case *reloadingLeaf:
		settings.algorithm = keys.leaf.Load().method.Alg()
		for _, root := range keys.roots {
			settings.ed25519Root = settings.ed25519Root || isEd25519(root)
		}
	}
	return settings, nil
}

// Block returns the part of a registry's configuration that makes it accept the
// tokens, with comments. The error says why that registry cannot accept them,
// and what would be right.
func (s AuthSettings) Block(registry string) (string, error) {
	render, ok := map[string]func() (string, error){
		Distribution2: s.distribution2,
		Distribution3: s.distribution3,
		GitLab:        s.gitlab,
		Zot:           s.zot,
	}[registry]
	if !ok {
		return "", fmt.Errorf("%q is not one of %q, %q, %q, %q", registry, Distribution2, Distribution3, GitLab, Zot)
	}
	if s.RootCertificate == "" {
		return "", fmt.Errorf("token.root_certificate is not configured; say where the registry has the root certificate")
	}
	text, err := render()
	if err != nil {
		return "", fmt.Errorf("service %q: %w", s.Service, err)
	}
	return text, nil
}

const (
	aloneNote = `Any certificate under this root can sign any token. So the root belongs to
shorepass alone: do not put a corporate CA here.`

	realmNote = `The realm is what clients are sent to; they must reach it by this very URL.`
)

func (s AuthSettings) distribution2() (string, error) {
	if err := s.checkDistribution2("distribution 2.8"); err != nil {
		return "", err
	}
	return commentBlock("distribution 2.8: config.yml", realmNote, s.bundleNote()) + s.yaml("rootcertbundle", s.RootCertificate), nil
}

func (s AuthSettings) gitlab() (string, error) {
	if err := s.checkDistribution2("the GitLab registry"); err != nil {
		return "", err
	}
	return commentBlock("GitLab container registry: config.yml", realmNote, s.bundleNote(),
		`GitLab's own pages read the registry with tokens that GitLab signs. To
keep them working, append GitLab's registry certificate to the file, and keep its
issuer here and in token.issuer.`) + s.yaml("rootcertbundle", s.RootCertificate), nil
}

// checkDistribution2 says why a registry that is built on distribution 2.8
// cannot accept the tokens.
func (s AuthSettings) checkDistribution2(name string) error {
	switch {
	case s.Signing == SigningKID:
		return fmt.Errorf(`%s does not know the key id of signing = "kid"; write "x5c" or "libtrust"`, name)
	case s.ed25519Root:
		return fmt.Errorf("%s does not start with an Ed25519 certificate in its bundle; use an ECDSA or RSA root", name)
	case s.algorithm == "EdDSA":
		return fmt.Errorf("%s does not verify Ed25519; use an ECDSA or RSA signing_key", name)
	}
	return nil
}

func (s AuthSettings) distribution3() (string, error) {
	switch s.Signing {
	case SigningLibtrust:
		return "", fmt.Errorf(`distribution 3 does not know the key id of signing = "libtrust"; write "x5c" or "kid"`)
	case SigningKID:
		return commentBlock("distribution 3: config.yml", realmNote,
			fmt.Sprintf("%s is the output of\n\n    shorepass registry-config --service %s --key-set", s.KeySet, s.Service)) + s.yaml("jwks", s.KeySet), nil
	}
	return commentBlock("distribution 3: config.yml", realmNote, s.bundleNote()) + s.yaml("rootcertbundle", s.RootCertificate), nil
}

// bundleNote is the comment on a certificate as rootcertbundle.
func (s AuthSettings) bundleNote() string {
	return fmt.Sprintf("%s is a copy of the root certificate, without its key.\n%s", s.RootCertificate, aloneNote)
}

func (s AuthSettings) zot() (string, error) {
	if s.Signing == SigningX5C {
		return "", fmt.Errorf(`zot verifies with one key and ignores x5c; give the service its own root_certificate and root_key, and signing = "kid"`)
	}
	if len(s.sharing) > 0 {
		return "", fmt.Errorf("zot checks neither issuer nor service, so that it would accept the tokens of %s too, which have the same key; give this service its own root_certificate and root_key",
			strings.Join(s.sharing, ", "))
	}
	if s.RootCertificate == s.bundle {
		return "", fmt.Errorf("zot reads only the first certificate of cert, and %s has several; write the one of root_key alone into a file, and name that with --root-certificate", s.bundle)
	}
	text, err := json.MarshalIndent(newZotConfig(s), "", "  ")
	if err != nil {
		return "", err
	}
	notes := []string{"zot: config.json, without these lines", realmNote,
		s.RootCertificate + ` is a copy of the service's root_certificate, without its key:
one certificate and no other. zot checks neither issuer nor service, only the
signature: give every zot, and every other registry, a key of its own. It reads
the file when it starts.`,
		`compat lets docker and crane push: without it zot refuses their manifests.`,
		`zot serves every blob in every repository: a person who may push to one
repository, and knows the digest of a blob, can read the blob through it. Rules
keep names and tags apart at a zot, and no secret that is in a layer.`}
	if warning := s.Warning(Zot); warning != "" {
		notes = append(notes, warning)
	}
	return commentBlock(notes...) + string(text) + "\n", nil
}

// zotLifetime is how long an access token for zot should live at least. zot
// answers an expired token without a challenge, so that a client that is in the
// middle of a push does not ask for another.
const zotLifetime = time.Hour

// Warning says what the registry of that kind needs of the configuration here
// and does not have. It is empty if there is nothing.
func (s AuthSettings) Warning(registry string) string {
	if registry != Zot || s.lifetime >= zotLifetime {
		return ""
	}
	return fmt.Sprintf(`A token for this service lives %s, and a push that takes longer fails: zot
answers an expired token with 401 and without a challenge, so that no client asks
for another. Write lifetime = "1h" into the [[service]] table of %q.`, duration.Format(s.lifetime), s.Service)
}

// zotConfig is the part of zot's config.json that makes it accept our tokens.
type zotConfig struct {
	HTTP struct {
		Compat []string `json:"compat"`
		Auth   struct {
			Bearer struct {
				Realm   string `json:"realm"`
				Service string `json:"service"`
				Cert    string `json:"cert"`
			} `json:"bearer"`
		} `json:"auth"`
	} `json:"http"`
}

func newZotConfig(s AuthSettings) zotConfig {
	var c zotConfig
	c.HTTP.Compat = []string{"docker2s2"}
	c.HTTP.Auth.Bearer.Realm, c.HTTP.Auth.Bearer.Service, c.HTTP.Auth.Bearer.Cert = s.Realm, s.Service, s.RootCertificate
	return c
}

// yaml writes the block that distribution and its derivatives share. JSON
// strings are YAML strings, so that every character is quoted right.
func (s AuthSettings) yaml(keyName, keyFile string) string {
	var b strings.Builder
	b.WriteString("auth:\n  token:\n")
	for _, line := range [][2]string{{"realm", s.Realm}, {"service", s.Service}, {"issuer", s.Issuer}, {keyName, keyFile}} {
		fmt.Fprintf(&b, "    %s: %s\n", line[0], appendText(nil, line[1]))
	}
	return b.String()
}

// commentBlock writes paragraphs as comments with "#".
func commentBlock(paragraphs ...string) string {
	text := strings.ReplaceAll(strings.Join(paragraphs, "\n\n"), "\n", "\n# ")
	return strings.ReplaceAll("# "+text+"\n", "# \n", "#\n")
}
