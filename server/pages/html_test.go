package pages

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// voidElements have no end tag (HTML, section 13.1.2).
var voidElements = []string{"br", "hr", "img", "input", "link", "meta"}

// checkHTML checks the syntax of a page, where browsers would guess: each element ends, no
// id is there twice, and a reference to an id has its element. It refuses what the
// Content-Security-Policy stops: style and script of the page itself.
func checkHTML(page []byte) error {
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict, d.Entity = false, xml.HTMLEntity
	var open []string
	ids, referred := map[string]bool{}, map[string]bool{}
	for {
		token, err := d.RawToken()
		if err == io.EOF {
			break
		}
		switch token := token.(type) {
		case nil:
			return err
		case xml.StartElement:
			name := token.Name.Local
			if !slices.Contains(voidElements, name) {
				open = append(open, name)
			}
			if err := checkAttributes(name, token.Attr, ids, referred); err != nil {
				return err
			}
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != token.Name.Local {
				return fmt.Errorf("</%s> ends %v", token.Name.Local, open)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 && (open[len(open)-1] == "script" || open[len(open)-1] == "style") {
				return fmt.Errorf("<%s> has a text", open[len(open)-1])
			}
		}
	}
	for id := range referred {
		if !ids[id] {
			return fmt.Errorf("no element has the id %q", id)
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%v do not end", open)
	}
	return nil
}

// checkAttributes is the part of checkHTML for the attributes of an element.
func checkAttributes(element string, attributes []xml.Attr, ids, referred map[string]bool) error {
	for _, a := range attributes {
		switch name := a.Name.Local; {
		case name == "style" || strings.HasPrefix(name, "on") || name == "href" && strings.HasPrefix(strings.TrimSpace(a.Value), "javascript:"):
			return fmt.Errorf("<%s> has the attribute %s", element, name)
		case name == "id":
			if ids[a.Value] || a.Value == "" {
				return fmt.Errorf("the id %q is there twice, or is empty", a.Value)
			}
			ids[a.Value] = true
		case name == "for" || name == "aria-describedby" || name == "aria-labelledby" || name == "data-copy":
			for id := range strings.FieldsSeq(a.Value) {
				referred[id] = true
			}
		}
	}
	return nil
}

func TestCheckHTML(t *testing.T) {
	for page, want := range map[string]string{
		"<!doctype html><p>a &amp; b<br><input required></p>": "",
		"<p>a":                          "[p] do not end",
		"<p><b></p></b>":                "</p> ends [p b]",
		"</p>":                          "</p> ends []",
		"<p style=''></p>":              "<p> has the attribute style",
		"<p onclick='a()'></p>":         "<p> has the attribute onclick",
		"<a href='javascript:a()'></a>": "<a> has the attribute href",
		"<script>a()</script>":          "<script> has a text",
		"<p id='a'></p><b id='a'></b>":  `the id "a" is there twice, or is empty`,
		"<label for='a'></label>":       `no element has the id "a"`,
	} {
		err := checkHTML([]byte(page))
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v, want %s", page, err, want)
		}
	}
}
