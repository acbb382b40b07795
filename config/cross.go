package config

// crossCheck looks at what one room's options say about another's.
func (l *loader) crossCheck() {
}
