package stripehook

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

var errQuote = errors.New("a quotation mark in it is not closed")

// shellWords is the first command in a text, taken apart as a POSIX shell does it
// (bash's $'…' too). Nothing is expanded.
type shellWords struct {
	text  string
	pos   int
	words []string
	word  strings.Builder
	open  bool // there is a word, be it empty
	vars  bool // a shell would have put something else in place of $name or `command`
}

// command reads up to the end of one command. It returns no words at the end of
// the text.
func (s *shellWords) command() error {
	s.words, s.vars = nil, false
	for s.pos < len(s.text) {
		done, err := s.step()
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	s.flush()
	return nil
}

// step reads one character, or one quoted stretch.
func (s *shellWords) step() (done bool, err error) {
	c := s.text[s.pos]
	s.pos++
	switch c {
	case ' ', '\t':
		s.flush()
	case '\n', '\r':
		s.flush()
		return len(s.words) > 0, nil
	case '\'':
		return false, s.single()
	case '"':
		return false, s.double()
	case '\\':
		s.escape()
	case '$':
		return false, s.dollar()
	case '`':
		s.backtick()
	case '#':
		s.comment()
	case ';', '|', '<', '>', '&':
		return s.operator(c), nil
	default:
		s.put(c)
	}
	return false, nil
}

func (s *shellWords) put(c byte) {
	s.open = true
	s.word.WriteByte(c)
}

func (s *shellWords) flush() {
	if s.open {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.open = false
}

func (s *shellWords) rest() string { return s.text[s.pos:] }

// eatLine passes over a line end.
func (s *shellWords) eatLine() bool {
	for _, end := range []string{"\r\n", "\n"} {
		if strings.HasPrefix(s.rest(), end) {
			s.pos += len(end)
			return true
		}
	}
	return false
}

func (s *shellWords) single() error {
	text, _, ok := strings.Cut(s.rest(), "'")
	if !ok {
		return errQuote
	}
	s.open = true
	s.word.WriteString(text)
	s.pos += len(text) + 1
	return nil
}

func (s *shellWords) double() error {
	s.open = true
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		s.pos++
		switch c {
		case '"':
			return nil
		case '\\':
			s.doubleEscape()
		case '`':
			s.vars = true
			s.put(c)
		case '$':
			s.vars = s.vars || expands(s.rest())
			s.put(c)
		default:
			s.put(c)
		}
	}
	return errQuote
}

// doubleEscape reads what follows a backslash between double quotes, where it
// is mostly itself.
func (s *shellWords) doubleEscape() {
	if s.eatLine() {
		return
	}
	if s.pos < len(s.text) && strings.IndexByte("$`\"\\", s.text[s.pos]) >= 0 {
		s.put(s.text[s.pos])
		s.pos++
		return
	}
	s.put('\\')
}

func (s *shellWords) escape() {
	if s.eatLine() || s.pos == len(s.text) {
		return
	}
	s.put(s.text[s.pos])
	s.pos++
}

// backtick ends a line that goes on in PowerShell; else it starts a command.
func (s *shellWords) backtick() {
	if s.eatLine() {
		return
	}
	s.vars = true
	s.put('`')
}

func (s *shellWords) comment() {
	if s.open {
		s.put('#')
		return
	}
	line, _, _ := strings.Cut(s.rest(), "\n")
	s.pos += len(line)
}

// operator ends the command, but for an & within a word: in a shell it would do
// so as well, yet whoever pasted a URL without quotes means it.
func (s *shellWords) operator(c byte) (done bool) {
	if c == '&' && s.open && s.pos < len(s.text) && !strings.ContainsRune(" \t\r\n&", rune(s.text[s.pos])) {
		s.put(c)
		return false
	}
	s.flush()
	return len(s.words) > 0
}

func (s *shellWords) dollar() error {
	switch {
	case strings.HasPrefix(s.rest(), "'"):
		s.pos++
		return s.ansi()
	case strings.HasPrefix(s.rest(), `"`):
		return nil // a translated string is a string
	}
	s.vars = s.vars || expands(s.rest())
	s.put('$')
	return nil
}

// expands says whether a shell would expand what follows a $.
func expands(rest string) bool {
	if rest == "" {
		return false
	}
	c := rest[0]
	return c == '{' || c == '(' || c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// ansi reads $'…', in which browsers write what they copy as curl.
func (s *shellWords) ansi() error {
	s.open = true
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		s.pos++
		switch {
		case c == '\'':
			return nil
		case c == '\\' && s.pos < len(s.text):
			s.ansiEscape()
		default:
			s.put(c)
		}
	}
	return errQuote
}

func (s *shellWords) ansiEscape() {
	const names, values = `abeEfnrtv\'"?`, "\a\b\x1b\x1b\f\n\r\t\v\\'\"?"
	c := s.text[s.pos]
	s.pos++
	if i := strings.IndexByte(names, c); i >= 0 {
		s.put(values[i])
		return
	}
	switch c {
	case 'x':
		s.number(c, 16, 2)
	case 'u':
		s.number(c, 16, 4)
	case 'U':
		s.number(c, 16, 8)
	case '0', '1', '2', '3', '4', '5', '6', '7':
		s.pos--
		s.number(c, 8, 3)
	case 'c':
		if s.pos < len(s.text) {
			s.put(s.text[s.pos] & 0x1f)
			s.pos++
		}
	default:
		s.put('\\')
		s.put(c)
	}
}

// number reads the digits of an escape: a character for u and U, else a byte.
func (s *shellWords) number(kind byte, base, most int) {
	digits := 0
	for digits < most && s.pos+digits < len(s.text) {
		if _, err := strconv.ParseUint(s.text[s.pos+digits:s.pos+digits+1], base, 8); err != nil {
			break
		}
		digits++
	}
	if digits == 0 {
		s.put('\\')
		s.put(kind)
		return
	}
	n, _ := strconv.ParseUint(s.text[s.pos:s.pos+digits], base, 64)
	s.pos += digits
	if kind == 'u' || kind == 'U' {
		s.word.Write(utf8.AppendRune(nil, rune(min(n, utf8.MaxRune+1))))
		return
	}
	s.put(byte(n))
}
