// Package deploy is the parent of what shorepass is installed with: the container
// image, the Debian package and the RPM, the Helm chart, the compose file, the
// dashboard and the alert rules. The module is one of its own, so that what builds
// and checks them is no dependency of the product.
package deploy
