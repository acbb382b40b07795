// Package dockerauth translates a configuration of docker_auth
// (https://github.com/cesanta/docker_auth) into one of ours.
//
// docker_auth's ACL is a list of entries of which the first that matches decides. A rule
// of ours says the same with unless, which names the rules of the entries above it. An
// entry becomes rules in four steps:
//
//  1. Its patterns are parsed into text and variables (parsePattern), and each pattern
//     becomes a regular expression, in which a variable without a value is a hole.
//  2. What it says of the person, the service and the name becomes a draft: keys where
//     globs match the same names as the expression, conditions (when) where they do not.
//     What keys and conditions cannot say of all people is written out for each static
//     user.
//  3. Drafts that differ in one key are merged into one rule (mergeDrafts).
//  4. When all entries are rules, those that may cover the same request are put in order
//     by unless (ordered).
//
// What has no equal here, or would behave in another way, is a [Finding] with the line of
// the file. Where a faithful translation would open a registry, the finding is a refusal,
// and there is no configuration at all.
package dockerauth

import "shorepass/policy"

// entry is an entry of docker_auth's acl.
type entry struct {
	Line    int      // in the file, from 1
	Match   match    // its match
	Actions []string // as written; nil if the key is missing
	Comment string   // its comment; may be empty
}

// match is the match of an entry: each condition that is there must hold. A nil
// condition holds for every request.
type match struct {
	Account *string // glob, or regular expression between slashes; "" is a request without credentials
	Type    *string // the same
	Name    *string // the same
	Service *string // the same
	IP      *string // an address or a network
	Labels  map[string]string
}

// staticUser is an entry of docker_auth's users.
type staticUser struct {
	Line   int    // in the file, from 1
	Name   string // as written; "" is a request without credentials
	Labels map[string][]string
}

// identities describes the people whom an ACL is for: the static users, those of the
// directory, and requests without credentials.
type identities struct {
	Users []staticUser // the static users, who become those of a provider of kind "file"

	// GroupLabel is the label whose values are our groups: the one that the directory
	// fills from memberOf. Every other label is a claim of that name, a list. Empty if
	// every label is a claim.
	GroupLabel string

	// Directory reports that a directory has people too, so that Users are not all.
	Directory bool

	// DirectoryLabels are the labels that the directory fills. A label that is neither
	// among them nor one of Users is one that no person has.
	DirectoryLabels []string

	// LowerCaseLabels are those of DirectoryLabels whose values docker_auth turns into
	// lower case.
	LowerCaseLabels []string

	// Anonymous reports that docker_auth answers requests without credentials: its
	// users have "". Without it such a request is 401, whatever the ACL says.
	Anonymous bool

	// AnonymousLabels are the labels of "", which conditions on labels see.
	AnonymousLabels map[string][]string
}

// commentedRule is a rule of ours with the comment that stands above it in the file.
type commentedRule struct {
	policy.Rule
	Comment string // may have several lines
}

// Finding is one result of a translation: what differs, or may not be what was meant, in
// one line of what is imported.
type Finding struct {
	File     string // the file of Line; empty for the configuration
	Line     int    // from 1; 0 concerns the file as a whole
	Severity Severity
	Text     string // one sentence: what is different, and what to do
}

// Severity is what a finding means for the translation.
type Severity int

const (
	Noted   Severity = iota // translated as docker_auth reads it, which may not be what was meant
	Changed                 // translated, and behaves in another way
	Lost                    // not translated: there is no equal, or docker_auth ignores it too
	Refused                 // a translation would open the registry; there is none
)

// String returns the word for a severity.
func (s Severity) String() string {
	return [...]string{"note", "changed", "lost", "refused"}[s]
}
