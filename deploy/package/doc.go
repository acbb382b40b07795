// Package packaging has the tests of the Debian package and the RPM, which "build" makes
// out of nfpm.yaml and the files beside it: they are built, looked at, installed in a
// fresh root, and run there by a real systemd.
package packaging
