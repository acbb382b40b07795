package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
)

// write writes a layout with an index of an image for each binary, under the tag of the
// version, and returns the digest of the index.
func (b build) write(folder string, binaries []string) (v1.Hash, error) {
	if err := os.Mkdir(folder, 0o755); err != nil { // a layout that is there would keep its old blobs
		return v1.Hash{}, fmt.Errorf("make the layout: %w", err)
	}
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	index := spec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: spec.MediaTypeImageIndex, Annotations: b.labels()}
	for _, binary := range binaries {
		manifest, err := b.writeImage(path, binary)
		if err != nil {
			return v1.Hash{}, err
		}
		index.Manifests = append(index.Manifests, manifest)
	}
	return writeIndex(path, index, tag(b.version))
}

// writeImage writes the blobs of a binary's image, and returns its descriptor.
func (b build) writeImage(path layout.Path, binary string) (spec.Descriptor, error) {
	platform, err := platformOf(binary)
	if err != nil {
		return spec.Descriptor{}, err
	}
	image, err := b.image(binary, platform)
	if err != nil {
		return spec.Descriptor{}, fmt.Errorf("build the image of %s: %w", binary, err)
	}
	if err := path.WriteImage(image); err != nil {
		return spec.Descriptor{}, err
	}
	manifest, err := image.RawManifest()
	if err != nil {
		return spec.Descriptor{}, err
	}
	return spec.Descriptor{MediaType: spec.MediaTypeImageManifest, Digest: digest.FromBytes(manifest), Size: int64(len(manifest)), Platform: platform}, nil
}

// writeIndex writes an index under a tag. It writes the fields in the order of the
// specification's types, as skopeo does: otherwise skopeo would write it anew when it
// copies it, with another digest.
func writeIndex(path layout.Path, index spec.Index, tag string) (v1.Hash, error) {
	data, err := json.Marshal(index)
	if err != nil {
		return v1.Hash{}, err
	}
	hash, size, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return v1.Hash{}, err
	}
	if err := path.WriteBlob(hash, io.NopCloser(bytes.NewReader(data))); err != nil {
		return v1.Hash{}, err
	}
	return hash, path.AppendDescriptor(v1.Descriptor{
		MediaType: types.OCIImageIndex, Size: size, Digest: hash,
		Annotations: map[string]string{spec.AnnotationRefName: tag},
	})
}
