# make run     the server on its example configuration
# make test    installs missing peers, then runs unit and end-to-end tests

SHELL := /bin/bash
export PATH := $(CURDIR)/.tools/bin:$(PATH)

GOTEST ?= go test
FUZZTIME ?= 10s

# Where binaries and the image go.
BIN := $(CURDIR)/bin

# The version and the commit that "shorepass version" prints.
VERSION  ?= $(shell deploy/version)
REVISION ?= $(shell git rev-parse --quiet --verify HEAD 2>/dev/null)

# A static binary without paths of the machine that compiles it: two builds of a commit
# are byte for byte the same. -s -w leave out the tables of debuggers, 30 % of it; a
# panic's trace needs none of them.
RELEASE := CGO_ENABLED=0 go build -trimpath -buildvcs=false \
	-ldflags '-s -w -X main.version=$(VERSION) -X main.revision=$(REVISION)'

# Stands for the time of a build in whatever has one.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

# The platforms of a release: an operating system and a processor each.
PLATFORMS := linux-amd64 linux-arm64 darwin-amd64 darwin-arm64 windows-amd64 windows-arm64

.PHONY: build cross image chart packages release run test unit e2e deploy bench fuzz lint install-peers

# -v prints each compiled package: with empty caches the build takes minutes.
build:
	@test -e $(BIN)/shorepass || echo "Compiling bin/shorepass; with empty caches this takes minutes."
	$(RELEASE) -v -o $(BIN)/shorepass ./cmd/shorepass

# The binary for each platform, bin/shorepass-linux-amd64 and so on.
cross: $(PLATFORMS:%=cross-%)
cross-%:
	GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(word 2,$(subst -, ,$*)) \
		$(RELEASE) -o $(BIN)/shorepass-$*$(if $(findstring windows,$*),.exe) ./cmd/shorepass

# The binaries with the suffix that Windows wants, and their bills of materials.
BINARIES := $(foreach p,$(PLATFORMS),shorepass-$(p)$(if $(findstring windows,$(p)),.exe))
LINUX    := $(filter shorepass-linux-%,$(BINARIES))

# The container image for linux, an OCI layout: bin/image. The same commit has the
# same digest.
image: cross-linux-amd64 cross-linux-arm64
	rm -rf $(BIN)/image
	cd deploy && go run ./image -version '$(VERSION)' -revision '$(REVISION)' -o $(BIN)/image $(LINUX:%=$(BIN)/%)

# The Helm chart, which installs the image of this version: bin/chart.
chart:
	rm -rf $(BIN)/chart
	helm package deploy/chart/shorepass --version '$(VERSION:v%=%)' --app-version '$(subst +,_,$(VERSION))' --destination $(BIN)/chart

# The Debian packages and RPMs: bin/packages.
packages:
	rm -rf $(BIN)/packages
	VERSION='$(VERSION)' deploy/package/build $(BIN)/packages

# What is published of a version, with checksums: bin/release.
release: cross image chart packages
	rm -rf $(BIN)/release
	mkdir -p $(BIN)/release
	cp $(BINARIES:%=$(BIN)/%) $(BIN)/chart/*.tgz $(BIN)/packages/* $(BIN)/release
	cd deploy && go run ./sbom -version '$(VERSION)' $(BINARIES:%=$(BIN)/release/%)
	tar --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw \
		-C $(BIN)/image -cf $(BIN)/release/shorepass-image.tar .
	cd $(BIN)/release && sha256sum * > SHA256SUMS

run: build
	@echo "Serving config.example.toml until Ctrl-C; its user is demo, with the password demo."
	$(BIN)/shorepass serve --config config.example.toml --greet demo:demo

test: unit e2e deploy

# -p 4, -parallel 8: the tests mostly wait for other processes, so more of them run
# concurrently than there are cores.
unit: install-peers
	$(GOTEST) -race -p 4 -timeout 20m ./...

# -count=1: they build and run a binary that the cache of test results does not
# depend on.
e2e: install-peers
	cd e2e && $(GOTEST) -count=1 -timeout 20m -parallel 8 ./...

# What shorepass is installed with: image, packages, chart, compose file, dashboard.
# The tests link again what cross has compiled.
deploy: install-peers cross
	cd deploy && $(GOTEST) -count=1 -timeout 20m ./...

# Token requests, LDAPS logins and policy decisions, then a million sessions and
# three replicas. It takes minutes. BEFORE=/path/of/another/shorepass measures
# that binary beside this one.
bench: build install-peers
	go run ./bench -shorepass $(BIN)/shorepass -before "$(BEFORE)"
	go test -run '^$$' -bench . ./bench

# Runs every fuzz target of the modules for FUZZTIME.
fuzz:
	@for module in . e2e; do \
		for package in $$(cd $$module && go list ./...); do \
			for target in $$(cd $$module && go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
				echo "$$package $$target"; \
				(cd $$module && go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package) || exit 1; \
			done; \
		done; \
	done

lint: install-peers
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	staticcheck ./...
	cd e2e && go vet ./... && staticcheck ./...
	cd deploy && go vet ./... && staticcheck ./...

# Installs real directories, registries and clients; takes a second if none is
# missing.
install-peers:
	@e2e/install
