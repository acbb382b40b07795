package server

import (
	"net/http"
	"strings"
)

// shownByEngine returns e as the docker engine shows its sentence at docker pull. It
// differs from e only where e is a 401 to a request with scopes, which no login has.
//
// The engine passes an unauthorized pull on to the docker command as 401, and since
// engine 28 the command then prompts for an account of Docker Hub, and waits even with
// standard input closed; our sentence is lost. What the engine calls unauthorized
// depends on its image store, which its user agent shows:
//
//   - docker/…: each answer with status 401 or code UNAUTHORIZED. At 403 DENIED it
//     prints the sentence and stops, as engine 20.10 does.
//   - containerd/… (the containerd store, the default since engine 29): the code alone.
//     The status stays, since kubelet prints nothing else, and a 401 to its POST makes
//     it try GET.
//
// Other clients get 401 UNAUTHORIZED: skopeo, podman and buildah print a sentence at no
// other status, and scripts look for the code that crane and oras print.
func (e httpError) shownByEngine(userAgent string, scoped bool) httpError {
	if e.status != http.StatusUnauthorized || !scoped {
		return e
	}
	switch product, _, _ := strings.Cut(userAgent, "/"); product {
	case "docker":
		e.status, e.code = http.StatusForbidden, codeDenied
	case "containerd":
		e.code = codeDenied
	}
	return e
}
