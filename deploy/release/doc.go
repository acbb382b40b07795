// Package release tests what is published of a version: the files of "make release" and
// the workflow that publishes them.
package release
