package config

// FoldsCase reports whether the names of a provider's people are compared
// without regard to case: of the provider of that name, or of all if there is
// none of it.
func (c *Config) FoldsCase(provider string) bool {
	folds := len(c.Providers) > 0
	for _, p := range c.Providers {
		if p.Name == provider {
			return p.options.FoldsCase()
		}
		folds = folds && p.options.FoldsCase()
	}
	return folds
}
