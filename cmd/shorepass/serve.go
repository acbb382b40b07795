package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"shorepass/internal/acmecert"
	"shorepass/internal/sdnotify"
	"shorepass/providers"
	"shorepass/server"
	"shorepass/session"
	"shorepass/throttle"
)

func newServe(o *options) *cobra.Command {
	var login string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer token requests",
		Long: "Answers token requests until it receives SIGTERM or SIGINT, then finishes those in\n" +
			"flight. SIGHUP, or a change of any file that the configuration names, reloads it; a\n" +
			"configuration with a fault is logged and the old one stays in force. SIGHUP also\n" +
			"reopens the audit file, after logrotate has moved it away. It exits with 78 if only a\n" +
			"changed configuration lets it start. Under systemd it tells when it is ready, and\n" +
			"what it waits for.",
		Example: "  shorepass serve --config /etc/shorepass/shorepass.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), o, login, cmd)
		},
	}
	cmd.Flags().StringVar(&login, "greet", "", "once it listens, print the commands to log in as `user[:password]` and get a token, and the password if given")
	return cmd
}

// daemon is a running server and all that a reload replaces or uses.
type daemon struct {
	options  *options
	log      *slog.Logger
	systemd  *sdnotify.Notifier
	backend  backend
	server   *server.Server
	sessions *session.Sessions
	audit    *server.Audit
	metrics  *server.Metrics
	throttle *throttle.Throttle
	acme     *acmecert.Manager // nil without server.acme

	cfg      atomic.Pointer[resolvedConfig] // in force
	tls      atomic.Pointer[tls.Config]     // in force; nil for plain HTTP
	chain    *providers.Chain               // in force; used by start, reload and close, which never run concurrently
	applied  chan struct{}                  // has an element after apply, for the watch of certificates
	retiring sync.WaitGroup                 // goroutines that close the chains of old configurations
}

// gcPercent is the garbage collector's GOGC unless the environment sets it. The heap may
// grow to three times the live heap, not to twice: the live heap is small, and most of
// what a request allocates is garbage. It saves a tenth to a fifth of the CPU and costs
// four megabytes. 250 would save no more that can be measured, and costs two more.
const gcPercent = 200

func serve(ctx context.Context, o *options, login string, cmd *cobra.Command) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	signal.Ignore(syscall.SIGPIPE) // it would end the server when the reader of its logs is gone
	systemd := sdnotify.FromEnvironment()
	defer func() {
		if err != nil {
			_ = systemd.Notify(sdnotify.Status(refusedStatus(err))) // the error itself is reported
		}
	}()
	if o.config, err = o.path(); err != nil { // a reload is of this file, whatever appears at another default path
		return asConfigError(err)
	}
	cfg, err := o.loadAll()
	if err != nil {
		return asConfigError(err)
	}
	d, err := newDaemon(o, cfg, systemd, cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	listener, err := net.Listen("tcp", cfg.Server.Listen)
	if err != nil {
		return asFileError(nameKeys(providers.WithKey("server.listen", err)))
	}
	hangups := make(chan os.Signal, 1) // one that arrives during the start is remembered
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	defer context.AfterFunc(ctx, func() {
		d.notify(sdnotify.Stopping, sdnotify.Status("shutting down: finishing the requests in flight"))
	})()
	ctx, stop := context.WithCancel(ctx)
	obtaining, err := d.runACME(ctx, cfg)
	if err != nil {
		stop()
		return errors.Join(err, listener.Close())
	}
	opened, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		defer stop()
		err := d.start(ctx, cfg)
		close(opened)
		if err == nil && ctx.Err() == nil {
			err = d.run(ctx, listener.Addr(), login, cmd, hangups)
		}
		ended <- err
	}()
	select {
	case <-opened:
	case <-time.After(acceptAfter):
	}
	err = d.server.Serve(ctx, listener, d.tlsConfig())
	stop()
	obtaining.Wait()
	return errors.Join(<-ended, err)
}

// acceptAfter is how long connections wait in the backlog of the listener while the
// server starts. A start mostly takes less, and then no client gets a 503.
const acceptAfter = 2 * time.Second

// run reloads the configuration of a daemon that has started, and watches its certificates,
// until ctx ends.
func (d *daemon) run(ctx context.Context, address net.Addr, login string, cmd *cobra.Command, hangups <-chan os.Signal) error {
	d.log.Info("listening", "address", address.String(), "tls", d.tls.Load() != nil)
	d.notify(sdnotify.Ready, sdnotify.Status(servingStatus(d.cfg.Load())))
	if login != "" {
		if err := printLoginCommands(cmd.ErrOrStderr(), d.server.Generation(), login); err != nil {
			return err
		}
	}
	var watching sync.WaitGroup
	watching.Go(func() { d.watchCertificates(ctx) })
	watching.Go(func() { d.feedWatchdog(ctx) })
	d.reloadOnChange(ctx, hangups)
	watching.Wait()
	return nil
}

// newDaemon checks the keys, certificates and providers, whose faults need not wait for
// the store, and opens the audit log. After an error nothing stays open.
func newDaemon(o *options, cfg *resolvedConfig, systemd *sdnotify.Notifier, cmd *cobra.Command) (*daemon, error) {
	d := &daemon{options: o, log: cfg.Server.NewLogger(cmd.ErrOrStderr()), systemd: systemd, metrics: server.NewMetrics(), applied: make(chan struct{}, 1)}
	var err error
	if d.backend, err = newBackend(cfg.Session); err != nil {
		return nil, asConfigError(err)
	}
	_, keys := checkKeys(cfg)
	if err := errors.Join(keys, checkTLS(cfg), checkProviders(cfg), checkPages(cfg)); err != nil {
		return nil, asConfigError(nameKeys(err))
	}
	if err := d.openACME(cfg); err != nil {
		return nil, err
	}
	secure, err := d.serverTLS(cfg)
	if err != nil {
		return nil, asConfigError(err)
	}
	d.tls.Store(secure)
	if d.audit, err = server.OpenAudit(cfg.Audit, cmd.OutOrStdout(), d.metrics, d.log); err != nil {
		return nil, asFileError(nameKeys(providers.WithKey("audit.to", err)))
	}
	d.server = server.New(d.audit, d.metrics, d.log)
	return d, nil
}

// checkPages builds the pages, to find the faults of the files that they show.
func checkPages(cfg *resolvedConfig) error {
	_, err := server.CheckPages(cfg.Server, cfg.Services, cfg.Pages)
	return err
}

// checkProviders builds the chain of providers without a store, to find its faults.
func checkProviders(cfg *resolvedConfig) error {
	quiet := slog.New(slog.DiscardHandler)
	limits := throttle.New(throttle.NewMemoryStore(), make([]byte, 32), throttleConfig(cfg), quiet) // for no login
	defer limits.Close()
	chain, err := newChain(cfg, limits, providers.Options{Log: quiet})
	if err != nil {
		return err
	}
	return chain.Close()
}

// start builds everything that is needed to answer requests: the store, then the
// sessions and the throttle, which use it, then the providers, whose answers both of
// them count: the circuit breakers and the rate limit. It returns nil if ctx ends while
// it waits for the store.
func (d *daemon) start(ctx context.Context, cfg *resolvedConfig) error {
	if err := d.openStore(ctx, cfg); err != nil || d.sessions == nil {
		return err
	}
	if err := makeMissingRoot(cfg, d.log); err != nil {
		return err
	}
	gen, err := d.newGeneration(cfg)
	if err != nil {
		return err
	}
	d.chain = gen.Chain
	d.server.Open(d.sessions, d.sessions.Admin())
	if err := d.apply(ctx, cfg, gen); err != nil {
		return err
	}
	return d.registerStats()
}

// apply puts a configuration and what was built from it in force.
func (d *daemon) apply(ctx context.Context, cfg *resolvedConfig, gen server.Generation) error {
	secure, err := d.serverTLS(cfg)
	if err != nil {
		return err
	}
	if gen.Certificates, err = inUse(cfg, gen.Issuer, d.acme); err != nil {
		return err
	}
	if err := d.server.Reload(gen); err != nil {
		return err
	}
	d.throttle.Reload(throttleConfig(cfg))
	if secure != nil { // TLS cannot be switched off without a restart
		d.tls.Store(secure)
	}
	if d.acme != nil {
		d.acme.SetNames(cfg.Server.CertificateNames())
	}
	d.sessions.Reload(cfg.Session, gen.Chain)
	gen.Chain.Start(ctx)
	d.cfg.Store(cfg)
	d.chain = gen.Chain
	d.checkCertificatesSoon()
	for _, warning := range cfg.Warnings {
		d.log.Warn("the configuration has a warning", "warning", warning.Error())
	}
	for _, warning := range gen.Chain.Warnings() {
		d.log.Warn("the configuration has a warning", "warning", warning)
	}
	return nil
}

// close closes what newDaemon and start have opened: the store, with the sessions, after
// the providers and the throttle, and the audit file last.
func (d *daemon) close() error {
	d.retiring.Wait()
	var err error
	if d.chain != nil {
		err = d.chain.Close()
	}
	if d.throttle != nil {
		d.throttle.Close()
	}
	if d.sessions != nil {
		err = errors.Join(err, d.sessions.Close())
	}
	return errors.Join(err, d.audit.Close())
}

// tlsConfig returns the TLS configuration of the listener, or nil for plain HTTP. Each
// handshake uses the certificate of the configuration in force, so that a renewed one
// needs no restart.
func (d *daemon) tlsConfig() *tls.Config {
	if d.tls.Load() == nil {
		return nil
	}
	return &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if d.acme != nil && acmecert.IsChallenge(hello) {
			return d.acme.Challenge(), nil
		}
		return d.tls.Load(), nil
	}}
}
