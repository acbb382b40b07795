package ldap

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

// maxGuesses is what is advised for wrong_passwords at most, however many the
// directory allows.
const maxGuesses = 8

// threshold is when a policy of the directory locks an account.
type threshold struct {
	policy    string // its DN
	attribute string // that holds the window
	guesses   int64  // the wrong password that locks; 0 if none does
	window    time.Duration
	resets    bool // after window, not only at a right password
}

// policyKind is where a directory keeps such policies, and in which attributes.
type policyKind struct {
	base            string // "" for each naming context
	container       string // what stands before the base
	scope           int
	filter          string
	enabled         string // what turns the lock on; "" where the guesses alone do
	guesses, window string
	unit            time.Duration // of the window, which Active Directory writes as a negative number
}

var (
	ppolicyKind = policyKind{ // draft-behera-ldap-password-policy-11, section 5.2
		scope: ldap.ScopeWholeSubtree, filter: "(objectClass=pwdPolicy)",
		enabled: "pwdLockout", guesses: "pwdMaxFailure", window: "pwdFailureCountInterval", unit: time.Second,
	}
	dsConfigKind = policyKind{
		base: "cn=config", filter: "(objectClass=*)",
		enabled: "passwordLockout", guesses: "passwordMaxFailure", window: "passwordResetFailureCount", unit: time.Second,
	}
	dsKind = policyKind{
		scope: ldap.ScopeWholeSubtree, filter: "(objectClass=passwordPolicy)",
		enabled: "passwordLockout", guesses: "passwordMaxFailure", window: "passwordResetFailureCount", unit: time.Second,
	}
	kerberosKind = policyKind{
		scope: ldap.ScopeWholeSubtree, filter: "(objectClass=krbPwdPolicy)",
		guesses: "krbPwdMaxFailure", window: "krbPwdFailureCountInterval", unit: time.Second,
	}
	domainKind = policyKind{ // [MS-SAMR], section 3.1.1.5
		filter: "(objectClass=*)", guesses: "lockoutThreshold", window: "lockOutObservationWindow", unit: -100 * time.Nanosecond,
	}
	fineGrainedKind = policyKind{ // [MS-ADTS], section 3.1.1.5.2.1
		container: "CN=Password Settings Container,CN=System,", scope: ldap.ScopeWholeSubtree, filter: "(objectClass=msDS-PasswordSettings)",
		guesses: "msDS-LockoutThreshold", window: "msDS-LockoutObservationWindow", unit: -100 * time.Nanosecond,
	}
)

// policyKinds are those of each preset. An lldap has none.
var policyKinds = map[string][]policyKind{
	"":         {ppolicyKind},
	"openldap": {ppolicyKind},
	presetAD:   {domainKind, fineGrainedKind},
	"freeipa":  {kerberosKind},
	"389ds":    {dsConfigKind, dsKind},
}

// inspectLockout reads when the directory locks accounts, and says what
// wrong_passwords and wrong_password_window have to be. The error is a
// configuration with which accounts will be locked.
func (p *Provider) inspectLockout(ctx context.Context) ([]string, error) {
	var all []threshold
	var lines []string
	for _, kind := range policyKinds[p.cfg.Preset] {
		found, err := p.thresholds(ctx, kind)
		if err != nil {
			return []string{fmt.Sprintf("warning: read when the directory locks accounts: %s", err)}, nil
		}
		if len(found) == 0 && kind == fineGrainedKind {
			lines = append(lines, "no fine-grained password policy is shown: if there are any, they may lock accounts sooner")
		}
		all = append(all, found...)
	}
	advice, err := advise(all, p.cfg.WrongPasswords, p.cfg.WrongPasswordWindow)
	return append(advice, lines...), err
}

// thresholds reads the policies of a kind, as far as the service account may.
func (p *Provider) thresholds(ctx context.Context, kind policyKind) ([]threshold, error) {
	bases := []string{kind.base}
	if kind.base == "" {
		var err error
		if bases, err = p.namingContexts(ctx); err != nil {
			return nil, err
		}
	}
	var all []threshold
	for _, base := range bases {
		found, err := p.dir.find(ctx, query{
			base: kind.container + base, scope: kind.scope, filter: kind.filter, attributes: kind.attributes(), sizeLimit: maxCounted,
		})
		switch resultCode(err) {
		case ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultSizeLimitExceeded:
			err = nil // as what may not be read is answered
		}
		if err != nil {
			return nil, fmt.Errorf("search under %q: %w", base, err)
		}
		for _, e := range found {
			if t, shown := kind.threshold(e); shown {
				all = append(all, t)
			}
		}
	}
	return all, nil
}

// namingContexts returns the directory's trees, or where they are not shown that of
// the people.
func (p *Provider) namingContexts(ctx context.Context) ([]string, error) {
	root, err := p.dir.find(ctx, query{scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: []string{"namingContexts", "defaultNamingContext"}})
	if err != nil && !answered(err) {
		return nil, err
	}
	for _, e := range root {
		if own := e.text("defaultNamingContext"); own != "" {
			return []string{own}, nil // of Active Directory; the others are configuration
		}
		if contexts := e.texts("namingContexts"); len(contexts) > 0 {
			return contexts, nil
		}
	}
	return []string{p.cfg.Users.Base}, nil
}

func (k policyKind) attributes() []string {
	if k.enabled == "" {
		return []string{k.guesses, k.window}
	}
	return []string{k.enabled, k.guesses, k.window}
}

// threshold reads one policy. shown is false where the entry does not say enough.
func (k policyKind) threshold(e entry) (t threshold, shown bool) {
	t = threshold{policy: e.dn, attribute: k.window}
	if k.enabled != "" && !e.isTrue(k.enabled) && !strings.EqualFold(e.text(k.enabled), "on") {
		return t, e.has(k.enabled) || e.has(k.guesses) // off, which it is by default
	}
	guesses, err := strconv.ParseInt(e.text(k.guesses), 10, 32)
	if err != nil || guesses < 0 {
		return t, false
	}
	t.guesses = guesses
	n, err := strconv.ParseInt(e.text(k.window), 10, 64)
	if err == nil && n != 0 && n != math.MinInt64 {
		t.window, t.resets = time.Duration(n)*k.unit, true
	}
	return t, true
}

// advise says what the thresholds of a directory mean for wrong_passwords and
// wrong_password_window, and what is wrong with these as they are.
func advise(all []threshold, wrongPasswords int, window time.Duration) ([]string, error) {
	if len(all) == 0 {
		return []string{"warning: the directory does not show when it locks accounts: ask its administrator at which wrong password it does (T) and how long it counts them (W), and write wrong_passwords = T-1, at most 8, and wrong_password_window = W"}, nil
	}
	var lines []string
	var faults []string
	var fewest int64
	var longest time.Duration
	for _, t := range all {
		switch {
		case t.guesses == 0:
			continue
		case !t.resets:
			faults = append(faults, fmt.Sprintf("%s: %s is 0, so that wrong passwords are never forgotten until a right one comes, and strangers lock any account in time: have the directory forget them", t.policy, t.attribute))
			continue
		case t.guesses == 1:
			faults = append(faults, fmt.Sprintf("%s locks an account at the first wrong password, which nothing here can prevent", t.policy))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s locks an account at wrong password %d within %s", t.policy, t.guesses, formatDuration(t.window)))
		if fewest == 0 || t.guesses < fewest {
			fewest = t.guesses
		}
		longest = max(longest, t.window)
	}
	if fewest == 0 {
		if len(faults) == 0 {
			lines = append(lines, fmt.Sprintf("no password policy that is shown locks accounts (%d)", len(all)))
		}
		return lines, mismatchError(faults)
	}
	most := min(fewest-1, maxGuesses)
	lines = append(lines, "for that write:", fmt.Sprintf("  wrong_passwords = %d", most), fmt.Sprintf("  wrong_password_window = %q", formatDuration(longest)))
	if int64(wrongPasswords) >= fewest {
		faults = append(faults, fmt.Sprintf("wrong_passwords is %d, and the directory locks an account at wrong password %d: write wrong_passwords = %d", wrongPasswords, fewest, most))
	}
	if window < longest {
		faults = append(faults, fmt.Sprintf("wrong_password_window is %s, and the directory counts for %s: write wrong_password_window = %q", formatDuration(window), formatDuration(longest), formatDuration(longest)))
	}
	return lines, mismatchError(faults)
}

// formatDuration writes a length of time as the configuration has it.
func formatDuration(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// mismatchError returns faults as those of the configuration.
func mismatchError(faults []string) error {
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", providers.ErrMismatch, strings.Join(faults, "; "))
}
