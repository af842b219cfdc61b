// SPDX-License-Identifier: MIT

// Package conformance reads raw HTTP/1.1 conversations from text files and holds
// them with a server. It is for tests: the files are in server/testdata/conformance,
// and who answers them keeps the contract written down in docs/conformance.md.
//
// A file is a list of cases:
//
//	== 5.1 MUST whitespace before the colon
//	* \x20
//	* \t
//	> GET /ok HTTP/1.1
//	> Host: a.test
//	> X\*: y
//	>
//	< 400
//	. closed
//
// A case begins with the section of RFC 9112 ("RFC 9110 8.6" for another
// document), the level of the rule (MUST, SHOULD, MAY, or OWN for a choice of
// pleat's) and a name. Then come, in the order in which they happen:
//
//	> text      sent, with CRLF behind it
//	- text      sent as it is
//	@ METHOD p  sent: a whole request without a body
//	! end       the client will not send any more, but still reads
//	< 200 "ok"  an answer is read; the body, a Go string, is compared if there is one.
//	            "404|405" allows either; "< HEAD 200" is the answer to a HEAD
//	+ Name: v   the answer just read has this field, once, with this value;
//	+ Name      or with any value
//	~ Name      the answer just read does not have this field
//	. open      the connection is fine: a further request on it is answered
//	. closed    nothing more comes, and the server ends the connection in order
//
// What is sent may hold \r, \n, \t, \\, \x00 (two digits) and \{1000:text}, which
// repeats text. Lines with a * are values for \*, each of which makes a case of its
// own. A line with # is a comment.
package conformance

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Case is one conversation on one connection.
type Case struct {
	File, Section, Level, Name string
	Steps                      []Step
	// Open says that the connection serves another request afterwards; else the
	// server has to end it.
	Open bool
}

// Step is one thing that happens: octets are sent, the client's half of the
// connection ends, or an answer is read.
type Step struct {
	Send string
	End  bool
	Want *Answer
}

// Answer is what a case expects.
type Answer struct {
	Method string // of the request, "GET" unless the framing depends on it
	Status []int  // any of these
	Body   *string
	Fields []Field
}

// Field is a field line an answer has to have or must not have. Any lets every
// value pass.
type Field struct {
	Name, Value string
	Any, Absent bool
}

// Sent is everything the client sends.
func (c *Case) Sent() string {
	var b strings.Builder
	for _, s := range c.Steps {
		b.WriteString(s.Send)
	}
	return b.String()
}

// Load reads all files that match *.txt, in their order.
func Load(files fs.FS) ([]Case, error) {
	names, err := fs.Glob(files, "*.txt")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("conformance: no cases: %w", errors.Join(err, fs.ErrNotExist))
	}
	var all []Case
	seen := map[string]bool{}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("conformance: %w", err)
		}
		cases, err := parse(name, strings.ReplaceAll(string(text), "\r\n", "\n"))
		if err != nil {
			return nil, fmt.Errorf("conformance: %w", err)
		}
		for _, c := range cases {
			if id := c.Section + " " + c.Name; seen[id] {
				return nil, fmt.Errorf("conformance: %s: the case %q is there twice", name, id)
			} else {
				seen[id] = true
			}
		}
		all = append(all, cases...)
	}
	return all, nil
}

// draft is a case that is being read.
type draft struct {
	line     int
	title    string
	variants []string
	lines    []string
}

func parse(file, text string) ([]Case, error) {
	var drafts []draft
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if title, ok := strings.CutPrefix(line, "== "); ok {
			drafts = append(drafts, draft{line: i + 1, title: title})
			continue
		}
		if len(drafts) == 0 {
			return nil, fmt.Errorf("%s:%d: a case begins with ==", file, i+1)
		}
		d := &drafts[len(drafts)-1]
		if v, ok := strings.CutPrefix(line, "* "); ok {
			d.variants = append(d.variants, v)
			continue
		}
		d.lines = append(d.lines, line)
	}
	var cases []Case
	for _, d := range drafts {
		made, err := d.cases()
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s: %w", file, d.line, d.title, err)
		}
		for i := range made {
			made[i].File = file
		}
		cases = append(cases, made...)
	}
	return cases, nil
}

var levels = []string{"MUST", "SHOULD", "MAY", "OWN"}

func (d *draft) cases() ([]Case, error) {
	words := strings.Fields(d.title)
	at := slices.IndexFunc(words, func(w string) bool { return slices.Contains(levels, w) })
	if at < 1 || at == len(words)-1 {
		return nil, errors.New("the title is a section, a level and a name")
	}
	c := Case{Section: strings.Join(words[:at], " "), Level: words[at], Name: strings.Join(words[at+1:], " ")}
	if len(d.variants) == 0 {
		return one(c, d.lines, "")
	}
	var all []Case
	for _, v := range d.variants {
		named := c
		named.Name += ": " + v
		made, err := one(named, d.lines, v)
		if err != nil {
			return nil, err
		}
		all = append(all, made...)
	}
	return all, nil
}

func one(c Case, lines []string, variant string) ([]Case, error) {
	ended := false
	for _, line := range lines {
		if ended {
			return nil, errors.New("something comes after the end")
		}
		mark, rest, _ := strings.Cut(strings.ReplaceAll(line, `\*`, variant), " ")
		var err error
		switch mark {
		case ">", "-", "@":
			err = c.send(mark, rest)
		case "!":
			if rest != "end" {
				return nil, fmt.Errorf("%q is nothing a client does", line)
			}
			c.Steps = append(c.Steps, Step{End: true})
		case "<":
			err = c.want(rest)
		case "+", "~":
			err = c.field(mark, rest)
		case ".":
			ended, c.Open = true, rest == "open"
			if !c.Open && rest != "closed" {
				err = fmt.Errorf("%q is no end", line)
			}
		default:
			err = fmt.Errorf("what is %q?", line)
		}
		if err != nil {
			return nil, err
		}
	}
	if !ended {
		return nil, errors.New("no end")
	}
	return []Case{c}, nil
}

func (c *Case) send(mark, text string) error {
	octets, err := unescape(text)
	switch {
	case err != nil:
		return err
	case mark == ">":
		octets += "\r\n"
	case mark == "@":
		octets += " HTTP/1.1\r\nHost: a.test\r\n\r\n"
	}
	if last := len(c.Steps) - 1; last >= 0 && c.Steps[last].Send != "" {
		c.Steps[last].Send += octets // what is sent together is one step
		return nil
	}
	c.Steps = append(c.Steps, Step{Send: octets})
	return nil
}

func (c *Case) want(text string) error {
	a := &Answer{Method: "GET"}
	if rest, ok := strings.CutPrefix(text, "HEAD "); ok {
		a.Method, text = "HEAD", rest
	}
	status, body, hasBody := strings.Cut(text, " ")
	for s := range strings.SplitSeq(status, "|") {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("status: %w", err)
		}
		a.Status = append(a.Status, n)
	}
	if hasBody {
		s, err := strconv.Unquote(body)
		if err != nil {
			return fmt.Errorf("body %s: %w", body, err)
		}
		a.Body = &s
	}
	c.Steps = append(c.Steps, Step{Want: a})
	return nil
}

func (c *Case) field(mark, text string) error {
	if len(c.Steps) == 0 || c.Steps[len(c.Steps)-1].Want == nil {
		return errors.New("a field without an answer")
	}
	name, value, hasValue := strings.Cut(text, ": ")
	a := c.Steps[len(c.Steps)-1].Want
	a.Fields = append(a.Fields, Field{Name: name, Value: value, Any: !hasValue, Absent: mark == "~"})
	return nil
}

// unescape makes octets of what a file says is sent.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", errors.New(`a \ at the end`)
		}
		switch s[i] {
		case 'r':
			b.WriteByte('\r')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case '\\':
			b.WriteByte('\\')
		case 'x':
			if i+2 >= len(s) {
				return "", errors.New(`\x has two digits`)
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf(`\x: %w`, err)
			}
			b.WriteByte(byte(n))
			i += 2
		case '{':
			count, rest, found := strings.Cut(s[i+1:], ":")
			text, _, closed := strings.Cut(rest, "}")
			n, err := strconv.Atoi(count)
			if !found || !closed || err != nil || n < 0 || n*len(text) > 64<<20 {
				return "", fmt.Errorf(`\{ wants a number, a colon, a text and a }: %q`, s[i:min(len(s), i+20)])
			}
			octets, err := unescape(text)
			if err != nil {
				return "", err
			}
			b.WriteString(strings.Repeat(octets, n))
			i += 1 + len(count) + 1 + len(text)
		default:
			return "", fmt.Errorf(`\%c means nothing`, s[i])
		}
	}
	return b.String(), nil
}
