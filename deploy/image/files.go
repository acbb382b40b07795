package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"time"

	"shorepass/deploy/internal/sbom"
)

const (
	program    = "/usr/bin/shorepass"
	dataFolder = "/var/lib/shorepass" // of a configuration in /etc/shorepass
	user       = 65532                // "nonroot" of distroless images
)

// file is a file or a folder of an image. Its owner is root unless owner says otherwise.
type file struct {
	name  string
	mode  int64
	owner int
	data  []byte // nil for a folder
}

// files returns the content of the image of a binary, each folder before what is in it.
// The bill of materials is where scanners look for it.
func (b build) files(binary string) ([]file, error) {
	code, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	roots, component, err := rootCertificates()
	if err != nil {
		return nil, err
	}
	materials, err := sbom.OfBinary(binary, b.version, b.created, component)
	if err != nil {
		return nil, err
	}
	folder := func(name string) file { return file{name: name, mode: 0o755} }
	return []file{
		folder("etc/"),
		{name: "etc/group", mode: 0o644, data: fmt.Appendf(nil, "root:x:0:\nshorepass:x:%d:\n", user)},
		{name: "etc/passwd", mode: 0o644, data: fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\nshorepass:x:%d:%[1]d:shorepass:%s:/sbin/nologin\n", user, dataFolder)},
		folder("etc/shorepass/"),
		folder("etc/ssl/"), folder("etc/ssl/certs/"),
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, data: roots},
		folder("usr/"), folder("usr/bin/"),
		{name: program[1:], mode: 0o755, data: code},
		folder("var/"), folder("var/lib/"), folder("var/lib/db/"), folder("var/lib/db/sbom/"),
		{name: "var/lib/db/sbom/shorepass.spdx.json", mode: 0o644, data: materials},
		{name: dataFolder[1:] + "/", mode: 0o700, owner: user},
	}, nil
}

// writeTar returns the files as a tar archive, all of one time.
func writeTar(files []file, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Uid: f.owner, Gid: f.owner, Size: int64(len(f.data)), ModTime: at, Format: tar.FormatUSTAR}
		if f.data == nil {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
