package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// image is a small unique image of one layer.
type image struct {
	layer, config, manifest blob
}

// blob is a part of an image.
type blob struct {
	mediaType string
	content   []byte
}

func (b blob) hex() string    { return fmt.Sprintf("%x", sha256.Sum256(b.content)) }
func (b blob) digest() string { return "sha256:" + b.hex() }

// descriptor has the order of docker 20.10, which encodes manifests again and
// so must come to the same bytes.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Size        int               `json:"size"`
	Digest      string            `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

func (b blob) descriptor() descriptor {
	return descriptor{MediaType: b.mediaType, Size: len(b.content), Digest: b.digest()}
}

// ociImage makes an image in the OCI format.
func ociImage(t *testing.T) *image {
	return newImage(t, "application/vnd.oci.image.manifest.v1+json",
		"application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip")
}

// dockerImage makes an image in docker's format, the only one that docker 20.10
// can put into a manifest list.
func dockerImage(t *testing.T) *image {
	return newImage(t, "application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip")
}

// newImage makes an image with random content.
func newImage(t *testing.T, manifestType, configType, layerType string) *image {
	t.Helper()
	file := []byte(rand.Text())
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	must(t, w.WriteHeader(&tar.Header{Name: "hello", Mode: 0o644, Size: int64(len(file))}))
	_, err := w.Write(file)
	must(t, err)
	must(t, w.Close())
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write(plain.Bytes())
	must(t, err)
	must(t, z.Close())

	i := &image{}
	i.layer = blob{layerType, packed.Bytes()}
	i.config = blob{configType, encode(t, map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{blob{content: plain.Bytes()}.digest()}},
	})}
	text, err := json.MarshalIndent(manifest{2, manifestType, i.config.descriptor(), []descriptor{i.layer.descriptor()}}, "", "   ")
	must(t, err)
	i.manifest = blob{manifestType, text}
	return i
}

// layout writes the image as an OCI image layout, tagged "it".
func (i *image) layout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	blobs := filepath.Join(dir, "blobs", "sha256")
	must(t, os.MkdirAll(blobs, 0o755))
	for _, b := range []blob{i.layer, i.config, i.manifest} {
		must(t, os.WriteFile(filepath.Join(blobs, b.hex()), b.content, 0o644))
	}
	entry := i.manifest.descriptor()
	entry.Annotations = map[string]string{"org.opencontainers.image.ref.name": "it"}
	index := map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{entry}}
	must(t, os.WriteFile(filepath.Join(dir, "index.json"), encode(t, index), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
	return dir
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return text
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
