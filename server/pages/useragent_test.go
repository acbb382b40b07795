package pages

import (
	"testing"

	"shorepass/session"
)

// User-Agents as these programs sent them.
func TestDescribeClient(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ agent, id, want string }{
		{`docker/28.5.2 go/go1.24.9 git-commit/89c5e8f kernel/6.1.0 os/linux arch/amd64 UpstreamClient(Docker-Client/28.5.2 \(linux\))`, "docker", "docker 28.5 on Linux"},
		{`docker/28.5.2 go/go1.24.9 git-commit/89c5e8f kernel/6.10.14-linuxkit os/linux arch/arm64 UpstreamClient(Docker-Client/28.5.1 \(darwin\))`, "docker", "docker 28.5 on macOS"},
		{`docker/20.10.24 go/go1.19.8 git-commit/5d6db84 kernel/6.1.0 os/linux arch/amd64 UpstreamClient(Docker-Client/20.10.24 \(windows\))`, "docker", "docker 20.10 on Windows"},
		{"containerd/2.1.4+unknown", "containerd-client", "containerd 2.1"},
		{"containers/5.23.1 (github.com/containers/image)", "", "podman, skopeo or buildah"},
		{"Buildah/1.28.2", "", "buildah 1.28"},
		{"skopeo/1.9.3", "", "skopeo 1.9"},
		{"Helm/4.3", "oras-go", "helm 4.3"},
		{"oras/1.3.6", "", "oras 1.3"},
		{"crane/v0.22.1 go-containerregistry/v0.22.1", "", "crane 0.22"},
		{"regclient/regctl (v0.11.7)", "regclient/regctl (v0.11.7)", "regctl"},
		{"buildkit/v0.19", "", "buildkit 0.19"},
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", "", "Chrome 140 on Linux"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "", "Edge 140 on Windows"},
		{"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0", "", "Firefox 143 on Linux"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15", "", "Safari 18 on macOS"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1", "", "Safari 18 on iPhone"},
		{"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36", "", "Chrome 140 on Android"},
		{"Mozilla/5.0 (compatible)", "", "an unknown program"},
		{"Go-http-client/1.1", "my-script", "my-script"},
		{"Go-http-client/1.1", "", "an unknown program"},
		{"", "", "an unknown program"},
		{"my script", "", "my"},
		{"x/", "", "x"},
		{"x/v1.", "", "x 1"},
		{"<script>alert(1)</script>/1", "", "<script>alert(1)<"}, // the template escapes it
	} {
		if got := english.describeClient(session.Client{UserAgent: tc.agent, ID: tc.id}); got != tc.want {
			t.Errorf("describeClient(%q, %q) = %q, want %q", tc.agent, tc.id, got, tc.want)
		}
	}
}
