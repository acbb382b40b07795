// Package file proves local users, from the configuration or from an htpasswd
// file.
package file
