package ldap

import "slices"

// preset is the defaults for one directory server. Each is the value of a key, and holds
// where that key is not set.
type preset struct {
	userFilter     string   `key:"users.filter"`
	userName       string   `key:"users.name"`
	subject        string   `key:"users.subject"`
	stamp          []string `key:"users.stamp"`
	state          []string `key:"users.state"`
	groupFilter    string   `key:"groups.filter"`
	groupAttribute string   `key:"groups.attribute"`
	groupName      string   `key:"groups.name"`
	nested         string   `key:"groups.nested"`
}

// presets are the presets by name. Without a preset the state attributes of all
// directories but Active Directory are requested, since their names differ: a server
// leaves out those that it does not have.
//
// No attribute of a stamp changes when a bind fails. 389 Directory Server keeps three
// that change with the password, each under a condition: pwdUpdateTime with
// passwordTrackUpdateTime: on, passwordAllowChangeTime with passwordMinAge (from the
// first password on), shadowLastChange for shadowAccounts. Its passwordExpirationTime
// also changes at the first bind of the days in which it warns.
//
// Of the shadow attributes presets have shadowExpire alone, which an administrator sets
// to end an account. The age of a password (shadowLastChange, shadowMax) is only known
// where every program that changes passwords maintains it.
var presets = map[string]preset{
	"": {
		state: slices.Concat(ppolicyState, []string{"shadowExpire"}, dsState, kerberosState),
	},
	"openldap": {
		userFilter:  "(uid={user})",
		userName:    "uid",
		subject:     "entryUUID",
		stamp:       []string{"pwdChangedTime", "pwdReset", "shadowLastChange"},
		groupFilter: "(member={dn})",
		groupName:   "cn",
		state:       slices.Concat(ppolicyState, []string{"shadowExpire"}),
	},
	presetAD: {
		userFilter: "(&(objectCategory=person)(objectClass=user)(|(sAMAccountName={user})(userPrincipalName={login})))",
		userName:   "sAMAccountName",
		subject:    attrGUID,
		stamp:      []string{attrPwdLastSet},
		groupName:  "sAMAccountName",
		nested:     nestedTokenGroups,
		state:      adState,
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
		stamp:       []string{"pwdUpdateTime", "passwordAllowChangeTime", "shadowLastChange"},
		groupFilter: "(|(member={dn})(uniqueMember={dn}))",
		groupName:   "cn",
		state:       slices.Concat(dsState, []string{"shadowExpire"}),
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
