package main

import (
	"bytes"
	"io"
)

// libraryLog is the output of the standard logger, to which only libraries write.
// net/http quotes there what a peer sent unasked, which may repeat a secret of a
// request before it, so a line is cut off at its first quote.
type libraryLog struct{ out io.Writer }

func (l libraryLog) Write(line []byte) (int, error) {
	if text, _, quotes := bytes.Cut(line, []byte(`"`)); quotes {
		if _, err := l.out.Write(append(bytes.Clone(text), "[left out]\n"...)); err != nil {
			return 0, err
		}
		return len(line), nil
	}
	return l.out.Write(line)
}
