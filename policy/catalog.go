package policy

import "shorepass/registry"

// zotCatalogScope is the resource by which zot asks for its catalog, as
// [scopeName] prints it.
const zotCatalogScope = "repository:"

// asRuled returns the scope whose resource is the one that rules name. It is the
// requested scope, but for zot's catalog.
func asRuled(scope *registry.Scope) *registry.Scope {
	kind, name := ruledResource(scope.Type, scope.Class, scope.Name)
	if name == scope.Name {
		return scope
	}
	return &registry.Scope{Type: kind, Name: name, Actions: scope.Actions}
}

// ruledResource returns the type and the name by which rules and limits name a
// requested resource. They are its own, but for zot's catalog: zot asks for a
// repository without a name where others ask for registry:catalog. No other
// registry asks for such a repository, so an access entry for it grants nothing
// there.
func ruledResource(kind, class, name string) (string, string) {
	if kind == "repository" && class == "" && name == "" {
		return "registry", "catalog"
	}
	return kind, name
}
