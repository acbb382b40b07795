package ldap

import "slices"

// preset is what is known of one directory server.
type preset struct {
	userFilter     string
	userName       string
	subject        string
	stamp          []string
	groupFilter    string
	groupAttribute string
	groupName      string
	nested         string
	state          []string // attributes that say whether an account is good, see state.go
}

// presets by their names. Of the state of an account much is known by the
// names of attributes alone, so that without a preset all of them are asked
// for: a server leaves out what it does not have.
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

// presetAD is the one preset that is more than names.
const presetAD = "activedirectory"
