package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
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
			"reopens the audit file, after logrotate has moved it away.",
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
	server   *server.Server
	sessions *session.Sessions
	audit    *server.Audit
	metrics  *server.Metrics
	throttle *throttle.Throttle

	cfg      atomic.Pointer[resolvedConfig] // in force
	tls      atomic.Pointer[tls.Config]     // in force; nil for plain HTTP
	chain    *providers.Chain               // in force; used by start, reload and close, which never run concurrently
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
	cfg, err := o.loadAll()
	if err != nil {
		return err
	}
	log := cfg.Server.NewLogger(cmd.ErrOrStderr())
	d, err := start(ctx, o, cfg, cmd, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()

	listener, err := net.Listen("tcp", cfg.Server.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	var reloading sync.WaitGroup
	reloading.Go(func() { d.reloadOnChange(ctx) })
	defer reloading.Wait()
	defer stop()

	log.Info("listening", "address", listener.Addr().String(), "tls", cfg.Server.TLS.Certificate != "")
	if login != "" {
		if err := printLoginCommands(cmd.ErrOrStderr(), d.server.Generation(), login); err != nil {
			return err
		}
	}
	return d.server.Serve(ctx, listener, d.tlsConfig())
}

// start builds everything that is needed to answer requests: the store, then the
// sessions and the throttle, which use it, then the providers, whose answers both of
// them count: the circuit breakers and the rate limit. After an error nothing stays open.
func start(ctx context.Context, o *options, cfg *resolvedConfig, cmd *cobra.Command, log *slog.Logger) (_ *daemon, err error) {
	if err := makeMissingRoot(cfg, log); err != nil {
		return nil, err
	}
	b, err := newBackend(cfg.Session)
	if err != nil {
		return nil, err
	}
	store, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	d := &daemon{options: o, log: log, metrics: server.NewMetrics()}
	if d.sessions, err = session.New(ctx, cfg.Session, store, nil, log); err != nil {
		return nil, err // New has closed the store
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.throttle, err = newThrottle(ctx, cfg, store, log); err != nil {
		return nil, err
	}
	gen, err := d.newGeneration(cfg)
	if err != nil {
		return nil, err
	}
	d.chain = gen.Chain
	d.audit, err = server.OpenAudit(cfg.Audit, cmd.OutOrStdout(), func(err error) {
		d.metrics.CountAuditFailure()
		log.Error("an audit line was not written", "error", err)
	})
	if err != nil {
		return nil, err
	}
	d.server = server.New(d.sessions, d.sessions.Admin(), d.audit, d.metrics, log)
	d.metrics.AddGauge("shorepass_signing_certificate_expiry_seconds", "Time until the first of the root and signing certificates expires.",
		func() float64 { return d.server.Generation().Issuer.Expiry(time.Now()).Seconds() })
	d.metrics.AddGauge("shorepass_circuit_breakers_open", "Providers whose circuit breakers are open: their refusals are void.",
		func() float64 { return float64(len(d.sessions.DoubtedProviders())) })
	return d, d.apply(ctx, cfg, gen)
}

// apply puts a configuration and what was built from it in force.
func (d *daemon) apply(ctx context.Context, cfg *resolvedConfig, gen server.Generation) error {
	secure, err := cfg.Server.TLS.Server()
	if err != nil {
		return err
	}
	if err := d.server.Reload(gen); err != nil {
		return err
	}
	d.throttle.Reload(throttleConfig(cfg))
	d.tls.Store(secure)
	d.sessions.Reload(cfg.Session, gen.Chain)
	gen.Chain.Start(ctx)
	d.cfg.Store(cfg)
	d.chain = gen.Chain
	for _, warning := range cfg.Warnings {
		d.log.Warn("the configuration has a warning", "warning", warning.Error())
	}
	for _, warning := range gen.Chain.Warnings() {
		d.log.Warn("the configuration has a warning", "warning", warning)
	}
	return nil
}

// close stops and closes what start has opened: the store, with the sessions, after the
// providers and the throttle, and the audit file last.
func (d *daemon) close() error {
	d.retiring.Wait()
	var err error
	if d.chain != nil {
		err = d.chain.Close()
	}
	if d.throttle != nil {
		d.throttle.Close()
	}
	err = errors.Join(err, d.sessions.Close())
	if d.audit != nil {
		err = errors.Join(err, d.audit.Close())
	}
	return err
}

// tlsConfig returns the TLS configuration of the listener, or nil for plain HTTP. Each
// handshake uses the certificate of the configuration in force, so that a renewed one
// needs no restart.
func (d *daemon) tlsConfig() *tls.Config {
	if d.tls.Load() == nil {
		return nil
	}
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return d.tls.Load(), nil
	}}
}
