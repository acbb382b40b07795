package acmecert

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
)

// Limits of an order and of each of its requests.
const (
	orderTimeout   = 3 * time.Minute
	requestTimeout = 30 * time.Second
)

// newClient returns a client of the directory, which reads the files of the tls table. The
// caller closes the idle connections of its HTTP client.
func (c Config) newClient() (*acme.Client, error) {
	secure, err := c.TLS.Client()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: secure, ForceAttemptHTTP2: true}
	return &acme.Client{DirectoryURL: c.Directory, UserAgent: "shorepass", RetryBackoff: retryRequest,
		HTTPClient: &http.Client{Transport: boundedTransport{transport}, Timeout: requestTimeout, CheckRedirect: checkRedirect}}, nil
}

// checkRedirect refuses to leave https. The library follows a redirect for GET requests, of
// which the directory's is the first.
func checkRedirect(to *http.Request, via []*http.Request) error {
	switch {
	case to.URL.Scheme != "https":
		return errors.New("the directory redirects there, and this is not https; correct the URL of the directory")
	case len(via) > 3:
		return errors.New("the directory redirects more than three times; correct the URL of the directory")
	}
	return nil
}

// maxResponse bounds a response of the directory, in bytes; the largest is a chain of
// certificates.
const maxResponse = 1 << 20

// boundedTransport cuts responses at maxResponse. The library reads most of them whole.
type boundedTransport struct{ *http.Transport }

func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.Transport.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxResponse), res.Body}
	}
	return res, err
}

// obtain orders a certificate for names, proves them, stores the certificate and puts it in
// use. It returns the leaf.
func (m *Manager) obtain(ctx context.Context, names []string) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	client, err := m.cfg.newClient()
	if err != nil {
		return nil, err
	}
	defer client.HTTPClient.CloseIdleConnections()
	account, err := m.files.accountKey()
	if err != nil {
		return nil, fmt.Errorf("server.acme.folder: %w", err)
	}
	if _, err := discover(ctx, client); err != nil {
		return nil, err
	}
	client.Key = account
	if err := m.register(ctx, client); err != nil {
		return nil, fmt.Errorf("register the account: %w", err)
	}
	order, err := client.AuthorizeOrder(ctx, acme.DomainIDs(names...))
	if err != nil {
		return nil, fmt.Errorf("order a certificate: %w", err)
	}
	for _, url := range order.AuthzURLs {
		if err := m.authorize(ctx, client, url, names); err != nil {
			return nil, err
		}
	}
	if order, err = client.WaitOrder(ctx, order.URI); err != nil {
		return nil, fmt.Errorf("wait for the order: %w", err)
	}
	return m.finalize(ctx, client, order, names)
}

// register makes the account, or finds the one of the key.
func (m *Manager) register(ctx context.Context, client *acme.Client) error {
	binding, err := m.cfg.ExternalAccount.binding()
	if err != nil {
		return err
	}
	account := &acme.Account{ExternalAccountBinding: binding}
	if m.cfg.Email != "" {
		account.Contact = []string{"mailto:" + m.cfg.Email}
	}
	_, err = client.Register(ctx, account, func(string) bool { return m.cfg.agreed() })
	if !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return err
	}
	known, err := client.GetReg(ctx, "")
	if err != nil || slices.Equal(known.Contact, account.Contact) {
		return err
	}
	_, err = client.UpdateReg(ctx, &acme.Account{Contact: account.Contact})
	return err
}

// authorize proves to the directory that one of names is ours.
func (m *Manager) authorize(ctx context.Context, client *acme.Client, url string, names []string) error {
	authorization, err := client.GetAuthorization(ctx, url)
	if err != nil {
		return fmt.Errorf("read an authorization: %w", err)
	}
	name := authorization.Identifier.Value
	switch {
	case authorization.Status == acme.StatusValid:
		return nil
	case !slices.Contains(names, name):
		return refusal{fmt.Errorf("the directory asks for a proof of %q, which was not ordered", name)}
	}
	challenge, err := m.choose(authorization.Challenges)
	if err != nil {
		return fmt.Errorf("prove %s: %w", name, err)
	}
	withdraw, err := m.publish(client, challenge, name)
	if err != nil {
		return fmt.Errorf("answer the challenge %s for %s: %w", challenge.Type, name, err)
	}
	defer withdraw()
	if _, err := client.Accept(ctx, challenge); err != nil {
		return fmt.Errorf("answer the challenge %s for %s: %w", challenge.Type, name, err)
	}
	if _, err := client.WaitAuthorization(ctx, url); err != nil {
		return fmt.Errorf("the directory could not verify %s by %s: %w", name, challenge.Type, err)
	}
	return nil
}

// The types of challenges that this package can answer.
const (
	http01    = "http-01"
	tlsALPN01 = "tls-alpn-01"
)

// challenge returns the type of challenge to answer: HTTP-01 if there is a listener for it,
// else TLS-ALPN-01. Trying one after the other would cost failed validations, which count
// at the directory.
func (c Config) challenge() string {
	if c.ListenHTTP != "" {
		return http01
	}
	return tlsALPN01
}

// choose returns the challenge to answer among those that the directory offers.
func (m *Manager) choose(offered []*acme.Challenge) (*acme.Challenge, error) {
	want := m.cfg.challenge()
	var types []string
	for _, c := range offered {
		if c.Type == want {
			return c, nil
		}
		types = append(types, c.Type)
	}
	cure := "set server.acme.listen_http for http-01"
	if want == http01 {
		cure = "leave out server.acme.listen_http for tls-alpn-01"
	}
	return nil, refusal{fmt.Errorf("the directory does not offer the challenge %s but %s; %s", want, strings.Join(types, ", "), cure)}
}

// publish makes the answer to a challenge available until withdraw is called.
func (m *Manager) publish(client *acme.Client, challenge *acme.Challenge, name string) (withdraw func(), err error) {
	if challenge.Type == http01 {
		answer, err := client.HTTP01ChallengeResponse(challenge.Token)
		if err != nil {
			return nil, err
		}
		path := client.HTTP01ChallengePath(challenge.Token)
		return publishIn(m, m.answers, path, answer), nil
	}
	proof, err := client.TLSALPN01ChallengeCert(challenge.Token, name)
	if err != nil {
		return nil, err
	}
	return publishIn(m, m.proofs, name, &proof), nil
}

func publishIn[V any](m *Manager, in map[string]V, key string, value V) (withdraw func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in[key] = value
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(in, key)
	}
}

// finalize lets the directory sign a new key, stores the certificate and puts it in use.
// It returns the leaf.
func (m *Manager) finalize(ctx context.Context, client *acme.Client, order *acme.Order, names []string) (*x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		return nil, err
	}
	chain, _, err := client.CreateCertFromOrder(ctx, order, request, true)
	if err != nil {
		return nil, fmt.Errorf("finalize the order: %w", err)
	}
	if err := checkIssued(chain, names); err != nil {
		return nil, err
	}
	pair, err := m.files.writeCertificate(chain, key)
	if pair == nil {
		return nil, err
	}
	if err != nil { // no error of the order: another one would not store its certificate either
		m.log.Error("the certificate obtained by ACME was not stored; it is in use, and the next start orders another", "error", err)
	}
	m.use(pair)
	return pair.Leaf, nil
}

// checkIssued refuses a certificate that lacks a name. That it is for our key is checked
// when the two are paired.
func checkIssued(chain [][]byte, names []string) error {
	if len(chain) == 0 {
		return refusal{errors.New("the directory gave no certificate")}
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return refusal{fmt.Errorf("the directory's certificate: %w", err)}
	}
	if !covers(leaf, names) {
		return refusal{fmt.Errorf("the directory's certificate is for %s, and %s were ordered", strings.Join(leaf.DNSNames, ", "), strings.Join(names, ", "))}
	}
	return nil
}

func (m *Manager) use(pair *tls.Certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current = pair
}
