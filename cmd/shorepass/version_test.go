package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// TestVersion: the line names version, revision, whether files differ from it, the
// toolchain and the platform, as far as each is known.
func TestVersion(t *testing.T) {
	const commit = "e646cef8f21f0d3b5d5c1b8a0c2a5f6d7e8f9a0b"
	stamped := func(version, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: modified}}}
	}
	for _, tt := range []struct {
		name              string
		version, revision string // of the linker
		info              *debug.BuildInfo
		want              string
	}{
		{"make build of a tag", "v1.2.0", commit, &debug.BuildInfo{}, "v1.2.0 " + commit},
		{"make build of a changed file", "v1.2.0+dirty", commit, nil, "v1.2.0+dirty " + commit + " modified"},
		{"go build in a clone without tags", "", "", stamped("v0.0.0-20261127034026-e646cef8f21f+dirty", "true"), "v0.0.0-20261127034026-e646cef8f21f+dirty " + commit + " modified"},
		{"go build, unchanged", "", "", stamped("(devel)", "false"), "(devel) " + commit},
		{"an archive of the source", "", "", &debug.BuildInfo{}, "(devel)"},
		{"no build information", "", "", nil, "(devel)"},
	} {
		want := tt.want + " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
		if got := describeBuild(tt.version, tt.revision, tt.info).String(); got != want {
			t.Errorf("%s: version prints %q, want %q", tt.name, got, want)
		}
	}
}
