package ldap

import "slices"

// preset is the defaults for one directory server.
type preset struct {
	userFilter     string
	userName       string
	subject        string
	stamp          []string
	groupFilter    string
	groupAttribute string
	groupName      string
	nested         string
	state          []string // the state attributes, see state.go
}

// presets are the presets by name. Without a preset all state attributes are
// requested, since their names differ between directories: a server leaves out those
// that it does not have.
var presets = map[string]preset{
	"": {
		state: slices.Concat(ppolicyState, shadowState, dsState, kerberosState),
	},
	"openldap": {
		userFilter:  "(uid={user})",
		userName:    "uid",
		subject:     "entryUUID",
		stamp:       []string{"pwdChangedTime", "pwdReset", "shadowLastChange"},
		groupFilter: "(member={dn})",
		groupName:   "cn",
		state:       slices.Concat(ppolicyState, shadowState),
	},
	presetAD: {
		userFilter: "(&(objectCategory=person)(objectClass=user)(|(sAMAccountName={user})(userPrincipalName={login})))",
		userName:   "sAMAccountName",
		subject:    attrGUID,
		stamp:      []string{attrPwdLastSet},
		groupName:  "sAMAccountName",
		nested:     nestedTokenGroups,
		state:      []string{attrUAC, attrUACComputed, attrAccountExpires, attrPwdLastSet},
	},
	"freeipa": {
		userFilter:     "(&(objectClass=posixAccount)(uid={user}))",
		userName:       "uid",
		subject:        "ipaUniqueID",
		stamp:          []string{"krbLastPwdChange"},
		groupAttribute: "memberOf",
		groupName:      "cn",
		state:          slices.Concat(dsState, kerberosState),
	},
	"389ds": {
		userFilter:  "(uid={user})",
		userName:    "uid",
		subject:     "nsUniqueId",
		stamp:       []string{"pwdUpdateTime"},
		groupFilter: "(|(member={dn})(uniqueMember={dn}))",
		groupName:   "cn",
		state:       slices.Concat(dsState, shadowState),
	},
	"lldap": {
		userFilter:     "(&(objectClass=person)(uid={user}))",
		userName:       "uid",
		subject:        "entryUUID",
		stamp:          []string{"pwdChangedTime"},
		groupAttribute: "memberOf",
		groupName:      "cn",
	},
}

// presetAD is the one preset with code of its own.
const presetAD = "activedirectory"
