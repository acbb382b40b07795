package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
)

// build is what the images of an index have in common.
type build struct {
	version, revision string
	created           time.Time
}

// labels returns the labels of the images, which are the annotations of manifests too.
func (b build) labels() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "shorepass",
		"org.opencontainers.image.description": "The token server between a company's identities and its container registries",
		"org.opencontainers.image.version":     b.version,
		"org.opencontainers.image.revision":    b.revision,
		"org.opencontainers.image.created":     b.created.Format(time.RFC3339),
	}
}

// platformOf returns the platform that a binary was compiled for. It must be linux.
func platformOf(binary string) (*spec.Platform, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("read the build information of %s: %w", binary, err)
	}
	p := &spec.Platform{OS: setting(info, "GOOS"), Architecture: setting(info, "GOARCH")}
	switch {
	case p.OS != "linux":
		return nil, fmt.Errorf("%s is for %s; an image needs a binary for linux", binary, p.OS)
	case setting(info, "CGO_ENABLED") != "0":
		return nil, fmt.Errorf("%s is not static; compile it with CGO_ENABLED=0", binary)
	}
	return p, nil
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// image returns the image of a platform: one layer, and how to run it.
func (b build) image(binary string, platform *spec.Platform) (v1.Image, error) {
	files, err := b.files(binary)
	if err != nil {
		return nil, err
	}
	tar, err := writeTar(files, b.created)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(tar)), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	history := v1.History{Created: v1.Time{Time: b.created}, CreatedBy: "shorepass/deploy/image"}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: history})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Created = v1.Time{Time: b.created}
	config.OS, config.Architecture = platform.OS, platform.Architecture
	config.Config = b.config()
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return nil, err
	}
	return mutate.Annotations(image, b.labels()).(v1.Image), nil
}

// config returns how an engine runs the image. The working directory is the data folder:
// SQLite makes its temporary files there where the root file system is read-only and has
// no /tmp.
func (b build) config() v1.Config {
	return v1.Config{
		User:         fmt.Sprintf("%d:%[1]d", user),
		Entrypoint:   []string{program},
		Cmd:          []string{"serve", "--config", "/etc/shorepass/shorepass.toml"},
		Env:          []string{"PATH=/usr/bin"},
		WorkingDir:   dataFolder,
		Volumes:      map[string]struct{}{dataFolder: {}},
		ExposedPorts: map[string]struct{}{"5001/tcp": {}},
		Labels:       maps.Clone(b.labels()),
		StopSignal:   "SIGTERM",
	}
}
