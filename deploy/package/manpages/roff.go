package main

import (
	"fmt"
	"strings"
	"time"
)

// roff returns the page of a command in the macros of man(7).
func (h help) roff(name, short string, date time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 %s shorepass \"User Commands\"\n", strings.ToUpper(escape(name)), date.Format(time.DateOnly))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", escape(name), escape(short))
	for i, usage := range h.usage {
		if i > 0 {
			b.WriteString(".br\n")
		}
		fmt.Fprintf(&b, ".B %s\n", escape(usage))
	}
	b.WriteString(".SH DESCRIPTION\n")
	for i, paragraph := range strings.Split(h.description, "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		for line := range strings.Lines(paragraph) {
			b.WriteString(text(strings.TrimRight(line, "\n")))
		}
	}
	list(&b, "COMMANDS", h.commands)
	list(&b, "OPTIONS", h.flags)
	if len(h.examples) > 0 {
		b.WriteString(".SH EXAMPLES\n.EX\n")
		for _, line := range h.examples {
			b.WriteString(text(line))
		}
		b.WriteString(".EE\n")
	}
	b.WriteString(".SH FILES\n.TP\n.I /etc/shorepass/shorepass.toml\nthe configuration; every key is described in\n.I /usr/share/doc/shorepass/configuration.md\n")
	if name != "shorepass" {
		b.WriteString(".SH SEE ALSO\n.BR shorepass (1)\n")
	}
	return b.String()
}

func list(b *strings.Builder, title string, items []item) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	for _, i := range items {
		fmt.Fprintf(b, ".TP\n.B %s\n%s", escape(i.name), text(i.text))
	}
}

// text returns a line of text, which must not be taken for a macro.
func text(line string) string {
	line = escape(line)
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		line = "\\&" + line
	}
	return line + "\n"
}

// escape returns text with roff's escapes: a backslash, and a minus that is not a hyphen.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", `...`, "–", `\-`).Replace(text)
}
