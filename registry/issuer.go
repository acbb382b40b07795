package registry

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"shorepass/internal/certwatch"
)

var (
	// ErrUnknownService says that a request names a service that is not
	// configured, or none where several are. The client gets 400.
	ErrUnknownService = errors.New("unknown service")

	// ErrDisabled says that the service is disabled. The client gets 401.
	ErrDisabled = errors.New("the service is disabled")

	// ErrNoKeySet says that a service has no JSON Web Key Set, because
	// registries do not find its key by a kid of RFC 7638.
	ErrNoKeySet = errors.New(`no JSON Web Key Set without signing = "kid"`)
)

// Issuer mints the tokens of all services. It is safe for concurrent use.
type Issuer struct {
	services map[string]*service
	names    []string // of the services, in the order of the configuration
	only     string   // the only service; empty where there are several
}

// service is a configured registry, with the settings that it inherits from
// [token].
type service struct {
	name     string
	disabled bool
	issuer   string
	lifetime time.Duration
	keyFiles keyFiles
	keysAt   string // the table that has keyFiles: "token", "service[0]"
	keys     keySource
	claims   []byte // the beginning of the claims of each token, up to the subject
}

// keyFiles says which files the keys of a service come from. Services with
// equal keyFiles share the keys.
type keyFiles struct {
	rootCertificate, rootKey       string
	signingCertificate, signingKey string
	signing                        string // as configured; may be empty
}

// NewIssuer reads the key files that cfg and services name. It makes no file:
// Config.RootCertificate and RootKey must exist (see [CreateRoot]). cfg must
// have its defaults. The error joins all faults.
//
// Afterwards report is called with the fault of a new signing certificate that
// cannot be used. It must not block.
func NewIssuer(cfg Config, services []Service, report func(error)) (*Issuer, error) {
	i, err := newIssuer(cfg, services)
	if err != nil {
		return nil, err
	}
	if err := i.readKeys(cfg.Services, report); err != nil {
		return nil, err
	}
	return i, nil
}

// CheckWithoutRoot reports the faults that [NewIssuer] will report once
// [CreateRoot] or [CreateRootCertificate] has made the root of cfg. It reads
// every key file but the certificate of that root, and the key of that root
// only if there is one.
func CheckWithoutRoot(cfg Config, services []Service) error {
	i, err := newIssuer(cfg, services)
	if err != nil {
		return err
	}
	_, err = readKey(cfg.RootKey)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	existing := slices.DeleteFunc(slices.Clone(cfg.Services), func(name string) bool {
		f := i.services[name].keyFiles
		return f.rootCertificate == cfg.RootCertificate && f.rootKey == cfg.RootKey
	})
	return errors.Join(err, i.readKeys(existing, nil))
}

// newIssuer returns an issuer whose services have no keys yet.
func newIssuer(cfg Config, services []Service) (*Issuer, error) {
	var faults []error
	fault := func(key, problem string) { faults = append(faults, fmt.Errorf("%s: %s", key, problem)) }
	cfg.Validate(func(key, problem string) { fault("token."+key, problem) })
	for i, s := range services {
		s.Validate(func(key, problem string) { fault(fmt.Sprintf("service[%d].%s", i, key), problem) })
	}
	ValidateServices(cfg, services, fault)
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	i := &Issuer{services: make(map[string]*service), names: cfg.Services}
	for _, name := range cfg.Services {
		i.services[name] = newService(cfg, Service{Name: name})
	}
	for n, s := range services {
		i.services[s.Name] = newService(cfg, s)
		if s.RootCertificate != "" {
			i.services[s.Name].keysAt = fmt.Sprintf("service[%d]", n)
		}
	}
	if len(cfg.Services) == 1 {
		i.only = cfg.Services[0]
	}
	return i, nil
}

// newService returns a service with the settings that it inherits from [token].
func newService(cfg Config, s Service) *service {
	f := keyFiles{cfg.RootCertificate, cfg.RootKey, cfg.SigningCertificate, cfg.SigningKey, cfg.Signing}
	if s.RootCertificate != "" {
		f = keyFiles{rootCertificate: s.RootCertificate, rootKey: s.RootKey, signing: cfg.Signing}
	}
	if s.Signing != "" {
		f.signing = s.Signing
	}
	full := &service{name: s.Name, disabled: s.Disabled, issuer: cfg.Issuer, lifetime: cfg.Lifetime, keyFiles: f, keysAt: "token"}
	if s.Issuer != "" {
		full.issuer = s.Issuer
	}
	if s.Lifetime != 0 {
		full.lifetime = s.Lifetime
	}
	full.claims = beginClaims(full.issuer, full.name)
	return full
}

// beginClaims returns the claims that are the same in each token of a service.
func beginClaims(issuer, service string) []byte {
	b := appendText([]byte(`{"iss":`), issuer)
	b = appendText(append(b, `,"aud":`...), service)
	return append(b, `,"sub":`...)
}

// readKeys reads the keys of services, those of equal keyFiles once.
func (i *Issuer) readKeys(names []string, report func(error)) error {
	if report == nil {
		report = func(error) {}
	}
	now := time.Now().Round(0)
	sources := make(map[keyFiles]keySource)
	var faults []error
	for _, name := range names {
		s := i.services[name]
		keys, seen := sources[s.keyFiles]
		if !seen {
			var err error
			if keys, err = s.keyFiles.open(now, report); err != nil {
				faults = append(faults, fmt.Errorf("keys of service %q: %w", name, err))
			}
			sources[s.keyFiles] = keys
		}
		s.keys = keys
	}
	return errors.Join(faults...)
}

// open reads the files and returns their key source.
func (f keyFiles) open(now time.Time, report func(error)) (keySource, error) {
	if f.signingCertificate != "" {
		return newReloadingLeaf(f.signingCertificate, f.signingKey, f.rootCertificate, now, report)
	}
	if f.rootCertificate == "" {
		return nil, errors.New("token.root_certificate and token.root_key are missing; make a root with shorepass keys init")
	}
	root, err := readKeyPair("root", f.rootCertificate, f.rootKey)
	if err != nil {
		return nil, err
	}
	if f.signsItself() {
		return newStaticKey(root, f.signing)
	}
	keys, err := newRotatingLeaf(root, now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.rootCertificate, err)
	}
	return keys, nil
}

// signsItself reports whether the configured key signs tokens itself. That is
// never guessed: unless configured so, the root certifies a leaf, or there is an
// error.
func (f keyFiles) signsItself() bool {
	return f.signing == SigningKID || f.signing == SigningLibtrust
}

// servicesSharingKey returns the other services whose tokens the configured key
// of s signs.
func (i *Issuer) servicesSharingKey(s *service) []string {
	var names []string
	key := s.keys.(*staticKey).signer.key.Public()
	for name, other := range i.services {
		if own, ok := other.keys.(*staticKey); ok && other != s && samePublicKey(own.signer.key.Public(), key) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Service returns the name of the service that a request asks for, or of the
// only one if it asks for none. Otherwise the error is ErrUnknownService or
// ErrDisabled.
func (i *Issuer) Service(name string) (string, error) {
	if name == "" {
		name = i.only
	}
	s, err := i.enabled(name)
	if err != nil {
		return "", err
	}
	return s.name, nil
}

// FirstService returns the first service in the configuration that is not
// disabled, or the first one if all are, for callers to which any service will
// do.
func (i *Issuer) FirstService() string {
	for _, name := range i.names {
		if !i.services[name].disabled {
			return name
		}
	}
	return i.names[0]
}

// enabled returns a service that is not disabled.
func (i *Issuer) enabled(name string) (*service, error) {
	s, ok := i.services[name]
	switch {
	case !ok:
		return nil, ErrUnknownService
	case s.disabled:
		return nil, ErrDisabled
	}
	return s, nil
}

// JWKS returns the JSON Web Key Set of a service with signing = "kid", for
// distribution 3 (auth.token.jwks) and zot. For any other service the error is
// ErrNoKeySet or ErrUnknownService.
func (i *Issuer) JWKS(service string) ([]byte, error) {
	s, ok := i.services[service]
	if !ok {
		return nil, fmt.Errorf("%q: %w", service, ErrUnknownService)
	}
	own, ok := s.keys.(*staticKey)
	if !ok || s.keyFiles.signing != SigningKID {
		return nil, fmt.Errorf("service %q: %w", service, ErrNoKeySet)
	}
	key, err := own.signer.jwk(SigningKID)
	if err != nil {
		return nil, err
	}
	return marshalKeySet([]jwk{key})
}

// KeySet returns the JSON Web Key Set of the keys that sign the tokens of all services at
// that time, each once; a leaf has its certificates as x5c. A key whose certificate is not
// valid then is left out. Registries do not need it: they find a leaf in the token, and
// each process has another leaf.
func (i *Issuer) KeySet(now time.Time) ([]byte, error) {
	var keys []jwk
	seen := make(map[keyFiles]bool)
	for _, name := range i.names {
		s := i.services[name]
		if seen[s.keyFiles] {
			continue
		}
		seen[s.keyFiles] = true
		signer, err := s.keys.current(now.Round(0))
		if err != nil {
			return nil, fmt.Errorf("key set of %q: %w", name, err)
		}
		if signer.checkValidity(now) != nil {
			continue
		}
		key, err := signer.jwk(s.keyFiles.signing)
		if err != nil {
			return nil, fmt.Errorf("key set of %q: %w", name, err)
		}
		keys = append(keys, key)
	}
	return marshalKeySet(keys)
}

// Certificates returns the certificate files of all services, each once, to watch
// for their ends. Those that no registry checks (signing = "kid" or "libtrust")
// are not among them. A signing certificate is the one in use now.
func (i *Issuer) Certificates() []certwatch.File {
	var all []certwatch.File
	seen := make(map[keyFiles]bool)
	for _, name := range i.names {
		s := i.services[name]
		if !seen[s.keyFiles] {
			all = append(all, s.certificates()...)
		}
		seen[s.keyFiles] = true
	}
	return all
}

func (s *service) certificates() []certwatch.File {
	root := certwatch.File{Key: s.keysAt + ".root_certificate", Name: s.keyFiles.rootCertificate}
	switch keys := s.keys.(type) {
	case *rotatingLeaf:
		root.Use, root.Certificates = certwatch.Root, []*x509.Certificate{keys.root.certificate}
		return []certwatch.File{root}
	case *reloadingLeaf:
		files := []certwatch.File{{Key: s.keysAt + ".signing_certificate", Name: s.keyFiles.signingCertificate, Certificates: keys.leaf.Load().chain}}
		if len(keys.roots) > 0 {
			root.Use, root.Certificates = certwatch.Authorities, keys.roots
			files = append(files, root)
		}
		return files
	}
	return nil
}
