package main

import "strings"

// help is the help of a command, as cobra prints it.
type help struct {
	description string
	usage       []string
	examples    []string
	commands    []item
	flags       []item
}

// item is a line of a list: a command or a flag, and what it does.
type item struct{ name, text string }

// parse reads the text: a description, then sections under their titles.
func parse(text string) help {
	var h help
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		switch {
		case strings.HasSuffix(line, ":") && sections[line]:
			section = line
		case section == "":
			h.description += line + "\n"
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "Use \""):
		case section == "Usage:":
			h.usage = append(h.usage, strings.TrimSpace(line))
		case section == "Examples:":
			h.examples = append(h.examples, strings.TrimPrefix(line, "  "))
		case section == "Available Commands:":
			name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
			h.commands = append(h.commands, item{name, strings.TrimSpace(text)})
		default:
			h.flags = append(h.flags, parseFlag(line))
		}
	}
	h.description = strings.TrimSpace(h.description)
	return h
}

// sections are the titles that cobra prints.
var sections = map[string]bool{"Usage:": true, "Examples:": true, "Available Commands:": true, "Flags:": true, "Global Flags:": true}

// parseFlag splits a line at the first run of blanks after the flag and its value.
func parseFlag(line string) item {
	line = strings.TrimSpace(line)
	name, text, _ := strings.Cut(line, "   ")
	return item{name, strings.TrimSpace(text)}
}
