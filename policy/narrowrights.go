package policy

// NarrowRights returns what is left of rights within the limits, as [Limits.Narrow] does
// with a decision. Nil limits narrow nothing. Where a glob of the rights and one of the
// limits match some of the same names, and neither all that the other matches, the right
// stays and is marked as conditional.
func (l *Limits) NarrowRights(r Rights) Rights {
	if l == nil {
		return r
	}
	var allowed, denied []piece
	for i := range r.Allow {
		for _, one := range r.Allow[i].pieces() {
			allowed = append(allowed, l.narrowPiece(one)...)
		}
	}
	for i := range r.Deny {
		for _, one := range r.Deny[i].pieces() {
			if one.actions = narrowActions(one.actions, l.actions); len(one.actions) > 0 {
				denied = append(denied, one)
			}
		}
	}
	return joinPieces(allowed, denied, r.More)
}

// narrowPiece returns what is left of a piece: several pieces where several globs of
// the limits match some of its repositories.
func (l *Limits) narrowPiece(p piece) []piece {
	services, whole := p.services.intersect(newGlobList(l.services))
	types, wholeTypes := p.types.intersect(newGlobList(l.types))
	p.actions = narrowActions(p.actions, l.actions)
	if len(p.actions) == 0 || types == nil || services == nil && (l.services != nil || p.services != nil) {
		return nil
	}
	p.services, p.types = services, types
	p.conditional = p.conditional || !whole || !wholeTypes
	if l.repositories == nil {
		return []piece{p}
	}
	var all []piece
	for _, g := range l.repositories {
		name, wholeName := p.name.intersect(newFilledGlob(g))
		if name.text == "" {
			continue
		}
		one := p
		one.name, one.conditional = name, p.conditional || !wholeName
		all = append(all, one)
	}
	return all
}

// narrowActions returns those of some actions that the limits name; nil names all.
func narrowActions(actions, limits []string) []string {
	switch {
	case limits == nil || includesActions(limits, []string{"*"}):
		return actions
	case includesActions(actions, []string{"*"}):
		return sortedActions(limits)
	}
	var all []string
	for _, action := range actions {
		if includesActions(limits, []string{action}) {
			all = append(all, action)
		}
	}
	return all
}

// intersect returns globs that match each name that both lists match. whole says that they
// match no other.
func (l globList) intersect(other globList) (both globList, whole bool) {
	switch {
	case l == nil:
		return other, true
	case other == nil:
		return l, true
	}
	whole = true
	for _, a := range l {
		for _, b := range other {
			if g, exact := a.intersect(b); g.text != "" {
				both, whole = append(both, g), whole && exact
			}
		}
	}
	return both, whole
}

// intersect returns a glob that matches each name that both globs match, one without
// text where there is no such name. whole says that it matches no other.
func (g filledGlob) intersect(other filledGlob) (both filledGlob, whole bool) {
	switch {
	case other.includes(&g):
		return g, true
	case g.includes(&other):
		return other, true
	case overlap(g.symbols, other.symbols):
		return g, false
	}
	return filledGlob{}, true
}

// pieces returns the pieces that a right was made of.
func (r *Right) pieces() []piece {
	var all []piece
	for _, text := range r.Repositories {
		all = append(all, piece{
			rules: r.Rules, services: parseGlobList(r.Services), types: parseGlobList(r.Types), name: parseFilledGlob(text, pathName),
			actions: r.Actions, conditional: r.Conditional, failed: r.failed,
		})
	}
	return all
}

func parseGlobList(texts []string) globList {
	var all globList
	for _, text := range texts {
		all = append(all, parseFilledGlob(text, plainName))
	}
	return all
}

// parseFilledGlob parses the text of a glob that was compiled before.
func parseFilledGlob(text string, kind nameKind) filledGlob {
	g, err := parseGlob(text, kind)
	if err != nil {
		return filledGlob{}
	}
	made := newFilledGlob(g)
	made.text = text
	return made
}
