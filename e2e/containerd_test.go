package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// containerd is the resolver of containerd, with which docker 29, CRI and
// nerdctl pull too.
func containerd() client {
	return client{
		name: "containerd",
		login: func(t *testing.T, h home, host, user, password string) result {
			h.store(t, host, user, password)
			return result{ok: true}
		},
		push: func(t *testing.T, h home, i *image, ref string) result {
			return outcome(upload(t, resolver(t, h), i, ref, ""))
		},
		pull: func(t *testing.T, h home, ref string) result {
			digests, err := download(t.Context(), resolver(t, h), ref)
			s := outcome(err)
			s.digests = digests
			return s
		},
		copy: func(t *testing.T, h home, from, to string) result {
			return outcome(relay(t, resolver(t, h), from, to))
		},
		wrongPassword: regexp.MustCompile(`401 Unauthorized`),
		refusedPush:   regexp.MustCompile(`insufficient_scope|403 Forbidden`),
		refusedPull:   regexp.MustCompile(`insufficient_scope|403 Forbidden`),
	}
}

// outcome returns an error as the output of a program.
func outcome(err error) result {
	if err != nil {
		return result{text: err.Error()}
	}
	return result{ok: true}
}

// resolver makes a resolver with the credentials of docker's config in h.
func resolver(t *testing.T, h home) remotes.Resolver {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{}, DisableKeepAlives: true}}
	authorizer := docker.NewDockerAuthorizer(
		docker.WithAuthClient(client),
		docker.WithAuthCreds(func(host string) (string, string, error) {
			stored := h.stored(t, host)
			if stored.IdentityToken != "" {
				return "", stored.IdentityToken, nil
			}
			user, password := stored.basic()
			return user, password, nil
		}))
	return docker.NewResolver(docker.ResolverOptions{Hosts: docker.ConfigureDefaultRegistries(
		docker.WithClient(client), docker.WithAuthorizer(authorizer), docker.WithPlainHTTP(docker.MatchLocalhost))})
}

// ocispec returns the blob's descriptor.
func (b blob) ocispec() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: b.mediaType, Digest: digest.Digest(b.digest()), Size: int64(len(b.content))}
}

// upload sends an image. from is empty or a repository of the same registry
// with its blobs, from which it asks to mount them.
func upload(t *testing.T, r remotes.Resolver, i *image, ref, from string) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := r.Pusher(ctx, ref)
	if err != nil {
		return err
	}
	for _, b := range []blob{i.layer, i.config, i.manifest} {
		d := b.ocispec()
		if from != "" {
			host, repo, _ := strings.Cut(from, "/")
			name, _, _ := strings.Cut(host, ":")
			// The annotation that containerd adds to a blob that it has pulled.
			d.Annotations = map[string]string{"containerd.io/distribution.source." + name: repo}
		}
		if err := send(ctx, p, d, b.content); err != nil {
			return err
		}
	}
	return nil
}

// send uploads one blob, unless the registry has it.
func send(ctx context.Context, p remotes.Pusher, d ocispec.Descriptor, content []byte) error {
	w, err := p.Push(ctx, d)
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := w.Commit(ctx, d.Size, d.Digest); err != nil && !errdefs.IsAlreadyExists(err) {
		return err
	}
	return nil
}

// download fetches the manifest of ref with its blobs, and returns the digests.
func download(ctx context.Context, r remotes.Resolver, ref string) ([]string, error) {
	i, err := fetchImage(ctx, r, ref)
	if err != nil {
		return nil, err
	}
	return []string{i.manifest.digest(), i.config.digest(), i.layer.digest()}, nil
}

// fetchImage fetches an image of one layer.
func fetchImage(ctx context.Context, r remotes.Resolver, ref string) (*image, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	name, d, err := r.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	f, err := r.Fetcher(ctx, name)
	if err != nil {
		return nil, err
	}
	i := &image{}
	if i.manifest, err = fetch(ctx, f, d); err != nil {
		return nil, err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(i.manifest.content, &manifest); err != nil {
		return nil, err
	}
	if len(manifest.Layers) != 1 {
		return nil, fmt.Errorf("%s has %d layers, want 1", ref, len(manifest.Layers))
	}
	if i.config, err = fetch(ctx, f, manifest.Config); err != nil {
		return nil, err
	}
	i.layer, err = fetch(ctx, f, manifest.Layers[0])
	return i, err
}

// fetch fetches one blob and checks its digest.
func fetch(ctx context.Context, f remotes.Fetcher, d ocispec.Descriptor) (blob, error) {
	body, err := f.Fetch(ctx, d)
	if err != nil {
		return blob{}, err
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	got := blob{mediaType: d.MediaType, content: content}
	if err == nil && got.digest() != d.Digest.String() {
		err = errors.New("the fetched blob has another digest")
	}
	return got, err
}

// relay copies an image within a registry, as containerd does after a pull.
func relay(t *testing.T, r remotes.Resolver, from, to string) error {
	i, err := fetchImage(t.Context(), r, from)
	if err != nil {
		return err
	}
	return upload(t, r, i, to, from[:strings.LastIndex(from, ":")])
}
