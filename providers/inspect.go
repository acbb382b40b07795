package providers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Inspector is a Provider that describes an account without the person's password, for
// explain --live.
type Inspector interface {
	// Inspect returns the account that login names, found as Lookup finds it. It sends no
	// secret of a person, and the provider counts no wrong password. The error wraps
	// ErrNotMine, ErrRejected, ErrGone or [ErrCannotInspect]; any other means that the
	// provider is unavailable.
	Inspect(ctx context.Context, login Login) (*Inspection, error)
}

// ErrCannotInspect says that a provider shows an account only to the person's own login.
var ErrCannotInspect = errors.New("the provider cannot be asked without the person's password")

// Inspection is an account as its provider has it.
type Inspection struct {
	DN       string       // of the entry; "" where the provider has none
	Groups   []FoundGroup // before only and rename
	Namer    *GroupNamer  // applies only and rename to Groups
	Refusals []Refusal    // reasons why a login is refused; none for an account that may log in
	Notes    []string     // what an operator should know, such as two groups of one name

	// Identity is the one that Prove returns; nil where it would fail for a reason in
	// Refusals.
	Identity *Identity
}

// Refusal is a reason why a login with the right password is refused.
type Refusal struct {
	Reason       Reason `json:"reason"`
	Text         string `json:"text"`          // the finding, with the attribute or key that shows it
	EndsSessions bool   `json:"ends_sessions"` // sessions end too, and not only logins
}

// Inspected is the answer of [Chain.Inspect].
type Inspected struct {
	Asked   []AskedProvider   `json:"providers"` // in the order of the chain, up to the one that answered
	Account *InspectedAccount `json:"account,omitempty"`

	// Identity is what rules would see, with prefix, whether or not a login is refused.
	// It is nil where no provider has the account, or shows enough of it.
	Identity *Identity `json:"-"`
}

// AskedProvider is the answer of one provider of the chain.
type AskedProvider struct {
	Provider string        `json:"provider"`
	Kind     string        `json:"kind"`
	Answer   InspectAnswer `json:"answer"`
	Text     string        `json:"text,omitempty"` // why
}

// InspectAnswer is the kind of a provider's answer.
type InspectAnswer string

const (
	AnswerAccount     InspectAnswer = "account"      // it has the account; no later provider is asked
	AnswerNotMine     InspectAnswer = "not mine"     // it has no such account; the next is asked
	AnswerNotAsked    InspectAnswer = "not asked"    // it takes no passwords, or match excludes the name; the next is asked
	AnswerBrowser     InspectAnswer = "browser"      // people sign in there with a browser, and with no password; the next is asked
	AnswerRefused     InspectAnswer = "refused"      // a login is refused, such as a name of two accounts; no later provider is asked
	AnswerNotKnown    InspectAnswer = "not known"    // it answers only to the person's own login; no later provider is asked
	AnswerUnavailable InspectAnswer = "not answered" // it is unavailable; no later provider is asked
)

// InspectedAccount is the account that a provider showed.
type InspectedAccount struct {
	DN            string           `json:"dn,omitempty"`
	User          string           `json:"user,omitempty"` // with prefix, as rules see it
	Subject       string           `json:"subject,omitempty"`
	Groups        []InspectedGroup `json:"groups"`
	RequireGroups []string         `json:"require_groups,omitempty"`
	Refusals      []Refusal        `json:"refusals,omitempty"`
	Notes         []string         `json:"notes,omitempty"`
}

// InspectedGroup is a group as the provider has it, and what becomes of it.
type InspectedGroup struct {
	Name    string `json:"name,omitempty"`
	DN      string `json:"dn,omitempty"`
	Group   string `json:"group,omitempty"`   // the name in rules, after rename and prefix; "" where it has none
	Renamed bool   `json:"renamed,omitempty"` // groups.rename gave it that name
	Dropped string `json:"dropped,omitempty"` // why rules do not see it
	Unsure  string `json:"unsure,omitempty"`  // why only deny rules apply
}

// Inspect asks the providers about a login name in the order and by the rules of a
// password login, but without a password. It uses neither the throttle nor a cache of the
// chain, so that nothing is counted. method is how the person is supposed to log in. The
// error wraps ErrUnavailable, and the answers before it come with it.
func (c *Chain) Inspect(ctx context.Context, login Login, method Method) (_ *Inspected, err error) {
	defer classify(&err)
	ctx, cancel := context.WithTimeout(ctx, chainLimit)
	defer cancel()
	result := &Inspected{}
	for _, m := range c.members {
		asked, found, err := m.inspect(ctx, login)
		result.Asked = append(result.Asked, asked)
		switch {
		case err != nil:
			return result, m.wrap(err)
		case asked.Answer == AnswerNotMine, asked.Answer == AnswerNotAsked, asked.Answer == AnswerBrowser:
			continue
		case found != nil:
			result.Account, result.Identity = m.inspected(found, method)
		}
		return result, nil
	}
	return result, nil
}

// inspect asks the provider, if a login by password would ask it.
func (m *member) inspect(ctx context.Context, login Login) (AskedProvider, *Inspection, error) {
	answer := func(a InspectAnswer, format string, args ...any) AskedProvider {
		return AskedProvider{Provider: m.config.Name, Kind: m.config.Kind, Answer: a, Text: fmt.Sprintf(format, args...)}
	}
	switch {
	case login == "" || login.Reserved():
		return answer(AnswerNotAsked, "tools make up such names: a password for one reaches no provider"), nil, nil
	case !m.accepts(Password) && m.signsIn():
		return answer(AnswerBrowser, "people sign in there with a browser, and it shows an account to nothing else; the audit line of a sign-in has the groups that rules name, and every group with audit.groups = \"all\""), nil, nil
	case !m.accepts(Password):
		return answer(AnswerNotAsked, "it takes no passwords"), nil, nil
	case !m.match.match(login.Key()):
		return answer(AnswerNotAsked, "its match does not cover this name: %s", Quoted(m.config.Match)), nil, nil
	case m.inspector == nil:
		return answer(AnswerNotKnown, "an OpenID provider answers only to the person's own login; the audit line of a login has the groups that rules name, and every group with audit.groups = \"all\""), nil, nil
	}
	found, err := m.inspector.Inspect(ctx, login)
	switch {
	case err == nil:
		return answer(AnswerAccount, ""), found, nil
	case errors.Is(err, ErrNotMine):
		return answer(AnswerNotMine, "it has no account of this name"), nil, nil
	case errors.Is(err, ErrCannotInspect):
		return answer(AnswerNotKnown, "%v", err), nil, nil
	case isUnrecognized(err):
		return answer(AnswerUnavailable, "no answer"), nil, err
	}
	return answer(AnswerRefused, "%v", err), nil, nil
}

// inspected applies the configuration (prefix, groups, require_groups) to an account that
// the provider showed. Unlike a login it goes on after a refusal.
func (m *member) inspected(found *Inspection, method Method) (*InspectedAccount, *Identity) {
	account := &InspectedAccount{DN: found.DN, RequireGroups: m.config.RequireGroups, Refusals: slices.Clone(found.Refusals), Notes: found.Notes}
	folds := found.Identity == nil || found.Identity.FoldsCase
	for _, g := range found.Groups {
		account.Groups = append(account.Groups, m.inspectedGroup(found.Namer, g, folds))
	}
	if found.Identity == nil {
		return account, nil
	}
	account.Subject = found.Identity.Subject
	id, err := m.prefixed(found.Identity, method, time.Now())
	if err == nil {
		account.User = id.User
		err = m.checkPrefixed(id)
		m.addAuthenticated(id)
	}
	if err != nil {
		account.Refusals = append(account.Refusals, Refusal{Reason: ReasonOf(err), Text: causeOf(err).Detail})
	}
	return account, id
}

// inspectedGroup returns what becomes of a group on its way into an identity.
func (m *member) inspectedGroup(namer *GroupNamer, g FoundGroup, foldsCase bool) InspectedGroup {
	result := InspectedGroup{Name: g.Name, DN: g.ID}
	name, problem, kept := namer.nameOne(g)
	full := m.prefix + name
	switch {
	case !kept:
		result.Dropped = "groups.only leaves it out"
	case problem != "":
		result.Unsure = problem
	case ourGroup(name) || ourGroup(full):
		result.Dropped = fmt.Sprintf("%q is the name of a group of shorepass's own", full)
	case m.isForeign(full, foldsCase):
		result.Dropped = fmt.Sprintf("%q begins with the prefix of another provider; give it another name with groups.rename", full)
	default:
		result.Group, result.Renamed = full, namer.Renames(g)
		if g.Unsure {
			result.Unsure = "another group has this name too, so that only deny rules apply"
		}
	}
	return result
}
