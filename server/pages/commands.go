package pages

import "strings"

// loginCommand returns the command with which a tool logs in to a host. It has no password:
// in an argument it would be in the shell's history and in the list of processes. The flags
// have the tool read it from standard input; without any it asks for it.
func loginCommand(tool, user, host string, flags ...string) string {
	words := append([]string{tool, "-u", shellQuote(basicUser(user))}, flags...)
	return strings.Join(append(words, shellQuote(host)), " ")
}

// basicUser returns the user name that a person types beside a token of ours, which the
// server does not compare. A name with a colon cannot be sent in Basic (RFC 7617, section
// 2), and "<token>" means another kind of token to docker.
func basicUser(user string) string {
	if user == "" || strings.Contains(user, ":") || user == "<token>" {
		return "token"
	}
	return user
}

// shellQuote returns a text as one word of a POSIX shell (XCU, section 2.2). PowerShell reads
// a word in single quotes alike, unless it has a single quote itself.
func shellQuote(text string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"
	if text != "" && text[0] != '-' && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
