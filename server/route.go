package server

// reservedPaths are the server's own; the token endpoint cannot take them.
var reservedPaths = []string{"/healthz", "/readyz", "/metrics"}
