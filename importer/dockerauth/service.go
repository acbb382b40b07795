package dockerauth

import (
	"fmt"
	"strings"
)

// address adds the condition of an entry on the address to a draft.
func (d *draft) address(e *aclEntry) {
	if e.network.IsValid() {
		d.when = append(d.when, fmt.Sprintf("cidr(%q).containsIP(request.address)", e.network))
	}
}

// service adds the condition on the service to a draft.
func (t *aclTranslation) service(e *aclEntry, d *draft) bool {
	if e.service == nil {
		return true
	}
	made, ok := e.service.fill(noValue)
	return ok && t.serviceOf(made, d)
}

// serviceOf adds the condition that the service matches an expression to a draft. A
// service that is written out is a key; check knows whether there is such a service.
func (t *aclTranslation) serviceOf(x expression, d *draft) bool {
	if text, ok := x.celText(); ok && text == "request.service" {
		return true // ${service} itself
	} else if ok && len(x.holes) > 0 {
		d.when = append(d.when, "request.service == "+text)
		return true
	}
	if len(x.holes) == 1 && x.holes[0].kind == labelValue {
		if !x.isHole() {
			return false
		}
		d.when = append(d.when, t.labelHas(x.holes[0].name, "request.service"))
		return true
	}
	if len(x.holes) > 0 {
		return false
	}
	if globs, exact := x.globs(plainName); exact && len(globs) == 1 && !strings.ContainsAny(globs[0], "*") {
		d.services = globs
		return true
	}
	d.when = append(d.when, "request.service.matches("+celRegexp(x.source)+")")
	return true
}

// ownServices returns a draft for each way in which a person's services can be said.
func (t *aclTranslation) ownServices(e *aclEntry, d draft, who principal, kind string) ([]draft, bool) {
	if e.service == nil {
		return []draft{d}, true
	}
	all, ok := t.expressions(e, e.service, who, kind)
	var drafts []draft
	for _, x := range all {
		next := d.clone()
		if !t.serviceOf(x, &next) {
			return nil, false
		}
		drafts = append(drafts, next)
	}
	return drafts, ok
}
