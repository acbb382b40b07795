// Command image builds the container image from nothing but the program: a layout (OCI)
// of an index with an image for each binary, without an engine or a registry.
//
//	SOURCE_DATE_EPOCH=… go run ./image -version v1.2.0 -revision HASH -o ../bin/image \
//		../bin/shorepass-linux-amd64 ../bin/shorepass-linux-arm64
//
// The same binaries, flags and date give the same digest.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"strings"

	"shorepass/deploy/internal/sbom"
)

func main() {
	log.SetFlags(0)
	var b build
	flag.StringVar(&b.version, "version", "", "the `version`, which is the tag too")
	flag.StringVar(&b.revision, "revision", "", "the `commit`")
	out := flag.String("o", "", "the `folder` of the layout, which must not exist")
	flag.Parse()
	if err := run(b, *out, flag.Args()); err != nil {
		log.Fatal("image: ", err)
	}
}

func run(b build, out string, binaries []string) (err error) {
	if b.created, err = sbom.SourceDate(); err != nil {
		return err
	}
	switch {
	case b.version == "":
		return errors.New("there is no version; outside of a git checkout write make image VERSION=v1.2.0")
	case len(binaries) == 0:
		return errors.New("name a binary for each platform")
	}
	digest, err := b.write(out, binaries)
	if err == nil {
		fmt.Printf("%s:%s@%s\n", out, tag(b.version), digest)
	}
	return err
}

// tag returns the tag for a version: a tag cannot contain "+".
func tag(version string) string { return strings.ReplaceAll(version, "+", "_") }
