package main

import (
	"bytes"
	"io"
)

// libraryLog is the output of the standard logger, which only libraries use. In it
// net/http quotes unsolicited data of a peer, which may repeat a secret of an earlier
// request. So libraryLog truncates a line at its first quotation mark.
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
