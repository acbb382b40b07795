package ldap

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/duration"
	"shorepass/providers"
)

// maxGuesses is the largest advice for wrong_passwords, however many the directory
// allows.
const maxGuesses = 8

// threshold is the lockout threshold of one password policy.
type threshold struct {
	policy    string        // its DN
	attribute string        // the attribute of the window
	guesses   int64         // the account is locked at this wrong password; 0 for never
	window    time.Duration // in which wrong passwords count
	resets    bool          // the count resets after window, and not only at a right password
}

// policyKind is one kind of password policies: where a directory stores them, and in
// which attributes.
type policyKind struct {
	base            string // "" for each naming context
	container       string // RDNs in front of the base
	scope           int
	filter          string
	enabled         string // the attribute that turns the lock on; "" if a threshold does
	guesses, window string
	unit            time.Duration // of the window; negative for Active Directory
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

// policyKinds are the kinds by preset. lldap has none.
var policyKinds = map[string][]policyKind{
	"":         {ppolicyKind},
	"openldap": {ppolicyKind},
	presetAD:   {domainKind, fineGrainedKind},
	"freeipa":  {kerberosKind},
	"389ds":    {dsConfigKind, dsKind},
}

// reportLockout reads the lockout thresholds, and returns advice on wrong_passwords
// and wrong_password_window, with a fault for each way in which logins with this
// configuration would lock accounts.
func (p *Provider) reportLockout(ctx context.Context) providers.Findings {
	var all []threshold
	var hidden providers.Findings
	for _, kind := range policyKinds[p.cfg.Preset] {
		found, err := p.thresholds(ctx, kind)
		if err != nil {
			return providers.Findings{providers.Warningf("", "read when the directory locks accounts: %s", err)}
		}
		if len(found) == 0 && kind == fineGrainedKind {
			hidden = append(hidden, providers.Infof("no fine-grained password policy is shown: if there are any, they may lock accounts sooner"))
		}
		all = append(all, found...)
	}
	return append(advise(all, p.cfg.WrongPasswords, p.cfg.WrongPasswordWindow), hidden...)
}

// thresholds returns the thresholds of one kind that the service account may read.
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
			err = nil // how directories answer without the right to read
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

// namingContexts returns the directory's naming contexts, or users.base if they are
// not shown. Those of a forest are its domains.
func (p *Provider) namingContexts(ctx context.Context) ([]string, error) {
	if p.forest && p.domains.read != nil {
		all, err := p.domains.known(ctx)
		contexts := make([]string, len(all))
		for i, one := range all {
			contexts[i] = one.dn
		}
		return contexts, err
	}
	root, err := p.dir.find(ctx, query{scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: []string{"namingContexts", "defaultNamingContext"}})
	if err != nil && !answered(err) {
		return nil, err
	}
	for _, e := range root {
		if own := e.text("defaultNamingContext"); own != "" {
			return []string{own}, nil // Active Directory; its other contexts hold configuration
		}
		if contexts := e.texts("namingContexts"); len(contexts) > 0 {
			return contexts, nil
		}
	}
	return []string{p.cfg.Users.base()}, nil
}

func (k policyKind) attributes() []string {
	if k.enabled == "" {
		return []string{k.guesses, k.window}
	}
	return []string{k.enabled, k.guesses, k.window}
}

// threshold reads a policy. shown is false if the entry does not show enough.
func (k policyKind) threshold(e entry) (t threshold, shown bool) {
	t = threshold{policy: e.dn, attribute: k.window}
	if k.enabled != "" && !e.isTrue(k.enabled) && !strings.EqualFold(e.text(k.enabled), "on") {
		return t, e.has(k.enabled) || e.has(k.guesses) // off, which is the default
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

// advise returns what to write for wrong_passwords and wrong_password_window with these
// thresholds, and faults if the values given do not fit.
func advise(all []threshold, wrongPasswords int, window time.Duration) providers.Findings {
	if len(all) == 0 {
		return providers.Findings{providers.Warningf("wrong_passwords", "the directory does not show when it locks accounts: ask its administrator at which wrong password it does (T) and how long it counts them (W), and write wrong_passwords = T-1, at most 8, and wrong_password_window = W")}
	}
	var lines, faults providers.Findings
	var fewest int64
	var longest time.Duration
	for _, t := range all {
		switch {
		case t.guesses == 0:
			continue
		case !t.resets:
			faults = append(faults, providers.Faultf("", "%s: %s is 0, so that wrong passwords count until a right one comes, and strangers can lock any account: have the directory reset the count after a time", t.policy, t.attribute))
			continue
		case t.guesses == 1:
			faults = append(faults, providers.Faultf("", "%s locks an account at the first wrong password, which shorepass cannot prevent", t.policy))
			continue
		}
		lines = append(lines, providers.Infof("%s locks an account at wrong password %d within %s", t.policy, t.guesses, duration.Format(t.window)))
		if fewest == 0 || t.guesses < fewest {
			fewest = t.guesses
		}
		longest = max(longest, t.window)
	}
	if fewest == 0 {
		if len(faults) == 0 {
			lines = append(lines, providers.Infof("no password policy that is shown locks accounts (%d)", len(all)))
		}
		return append(lines, faults...)
	}
	most := min(fewest-1, maxGuesses)
	lines = append(lines, providers.Infof("for that write:"), providers.Infof("  wrong_passwords = %d", most), providers.Infof("  wrong_password_window = %q", duration.Format(longest)))
	if int64(wrongPasswords) >= fewest {
		faults = append(faults, providers.Faultf("wrong_passwords", "wrong_passwords is %d, and the directory locks an account at wrong password %d: write wrong_passwords = %d", wrongPasswords, fewest, most))
	}
	if window < longest {
		faults = append(faults, providers.Faultf("wrong_password_window", "wrong_password_window is %s, and the directory counts for %s: write wrong_password_window = %q", duration.Format(window), duration.Format(longest), duration.Format(longest)))
	}
	return append(lines, faults...)
}
