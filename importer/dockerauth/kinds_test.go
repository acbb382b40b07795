package dockerauth

import (
	"shorepass/config"
	"shorepass/providers/file"
	"shorepass/providers/ldap"
	"shorepass/providers/oidc"
)

var testKinds = config.Kinds{"file": config.Kind(file.New), "ldap": config.Kind(ldap.New), "oidc": config.Kind(oidc.New)}
