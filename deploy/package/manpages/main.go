// Command manpages writes the manual pages of shorepass, from what the program itself
// prints as help: so the program needs no library for it, and no page can differ from it.
//
//	manpages /usr/bin/shorepass FOLDER
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: manpages PROGRAM FOLDER")
	}
	w := writer{program: os.Args[1], folder: os.Args[2], date: sourceDate()}
	if err := w.write([]string{"shorepass"}, ""); err != nil {
		log.Fatal(err)
	}
}

// sourceDate returns $SOURCE_DATE_EPOCH, or now.
func sourceDate() time.Time {
	if seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(seconds, 0).UTC()
	}
	return time.Now().UTC()
}

type writer struct {
	program, folder string
	date            time.Time
}

// write writes the page of a command, and those of the commands below it. short is its
// line in the list of the command above.
func (w writer) write(command []string, short string) error {
	out, err := exec.Command(w.program, append([]string{"help"}, command[1:]...)...).Output()
	if err != nil {
		return fmt.Errorf("help of %s: %w", strings.Join(command, " "), err)
	}
	h := parse(string(out))
	if short == "" {
		short, _, _ = strings.Cut(h.description, "\n")
	}
	name := strings.Join(command, "-")
	var page bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&page, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := compressed.Write([]byte(h.roff(name, short, w.date))); err != nil {
		return err
	}
	if err := compressed.Close(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(w.folder, name+".1.gz"), page.Bytes(), 0o644); err != nil {
		return err
	}
	for _, sub := range h.commands {
		if sub.name == "help" {
			continue
		}
		if err := w.write(append(command[:len(command):len(command)], sub.name), sub.text); err != nil {
			return err
		}
	}
	return nil
}
