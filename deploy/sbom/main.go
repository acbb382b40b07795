// Command sbom writes the software bill of materials of each binary beside it, as
// BINARY.spdx.json.
//
//	SOURCE_DATE_EPOCH=… go run ./sbom -version v1.2.0 ../bin/shorepass-linux-amd64
package main

import (
	"flag"
	"log"
	"os"

	"shorepass/deploy/internal/sbom"
)

func main() {
	log.SetFlags(0)
	version := flag.String("version", "", "the `version` of the binaries")
	flag.Parse()
	created, err := sbom.SourceDate()
	if err != nil {
		log.Fatal("sbom: ", err)
	}
	for _, file := range flag.Args() {
		document, err := sbom.OfBinary(file, *version, created)
		if err != nil {
			log.Fatal("sbom: ", err)
		}
		if err := os.WriteFile(file+".spdx.json", document, 0o644); err != nil {
			log.Fatal("sbom: ", err)
		}
	}
}
