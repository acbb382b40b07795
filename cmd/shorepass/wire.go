package main

import (
	"context"
	"fmt"
	"log/slog"

	"shorepass/config"
	"shorepass/providers"
	"shorepass/providers/file"
	"shorepass/providers/ldap"
	"shorepass/providers/oidc"
	"shorepass/registry"
	"shorepass/server"
	"shorepass/session"
	"shorepass/throttle"
)

// kinds are all kinds of provider. A new one is a folder under providers and a line here.
var kinds = config.Kinds{
	"file": config.Kind(file.New),
	"ldap": config.Kind(ldap.New),
	"oidc": config.Kind(oidc.New),
}

// load loads the configuration that the flags name.
func (o *options) load(with ...config.Option) (*config.Config, error) {
	path, err := o.path()
	if err != nil {
		return nil, err
	}
	return config.Load(path, kinds, with...)
}

// loadAll loads the configuration with everything that serve needs.
func (o *options) loadAll() (*resolvedConfig, error) {
	cfg, err := o.load()
	if err != nil {
		return nil, err
	}
	resolved, err := resolveRoot(cfg)
	if err != nil {
		return nil, err
	}
	return resolved, resolveACME(resolved)
}

// loadRoot loads the configuration for a command that needs the root, with the secrets at
// these keys. It reads the store's address only where that determines the root's folder.
func (o *options) loadRoot(secrets ...string) (*resolvedConfig, error) {
	cfg, err := o.load(config.OnlySecrets(secrets...))
	if err == nil && !configuresRoot(cfg) {
		cfg, err = o.load(config.OnlySecrets(append(secrets, "session.store")...))
	}
	if err != nil {
		return nil, err
	}
	return resolveRoot(cfg)
}

// newChain builds the chain of the configured providers, in the order of the file.
func newChain(cfg *resolvedConfig, limits *throttle.Throttle, o providers.Options) (*providers.Chain, error) {
	members := make([]providers.Member, len(cfg.Providers))
	for i, p := range cfg.Providers {
		built, err := p.Build()
		if err != nil {
			key := fmt.Sprintf("provider[%d]", i)
			if own := providers.KeyOf(err); own != "" {
				key += "." + own
			}
			return nil, providers.WithKey(key, fmt.Errorf("provider %q: %w", p.Name, err))
		}
		members[i] = providers.Member{Provider: built, Config: p.Config}
	}
	o.OurToken = session.Recognize
	return providers.NewChain(members, limits, o)
}

// newIssuer reads the keys that sign tokens.
func newIssuer(cfg *resolvedConfig, log *slog.Logger) (*registry.Issuer, error) {
	return registry.NewIssuer(cfg.Token, cfg.Services, func(err error) {
		log.Error("the signing certificate was not reread; the old one stays in use", "error", err)
	})
}

// newGeneration builds what requests use and a reload replaces. It reads files, and never
// uses the network.
func (d *daemon) newGeneration(cfg *resolvedConfig) (server.Generation, error) {
	issuer, err := newIssuer(cfg, d.log)
	if err != nil {
		return server.Generation{}, err
	}
	chain, err := newChain(cfg, d.throttle, providers.Options{Log: d.log, CircuitBreaker: d.sessions})
	if err != nil {
		return server.Generation{}, err
	}
	return server.Generation{
		Config: cfg.Server, Chain: chain, Policy: cfg.Policy, Issuer: issuer,
		Services: cfg.Services, PageConfig: cfg.Pages, SessionConfig: cfg.Session,
	}, nil
}

// newThrottle returns the rate limit of wrong passwords, whose counters replicas share in
// the store.
func newThrottle(ctx context.Context, cfg *resolvedConfig, in store, log *slog.Logger) (*throttle.Throttle, error) {
	keys, err := session.OpenKeys(ctx, cfg.Session, in, log)
	if err != nil {
		return nil, err
	}
	return throttle.New(in, keys.Derive(throttleKey), throttleConfig(cfg), log), nil
}

// throttleKey is the label of the key derivation for the throttle's HMACs of names and
// passwords, from the sealing key.
const throttleKey = "throttle"

// throttleConfig returns the options of the throttle, which a reload replaces.
func throttleConfig(cfg *resolvedConfig) throttle.Config {
	return cfg.Throttle.Options(cfg.ProviderTables)
}
