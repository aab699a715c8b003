package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// The parser recurses into what opens with a bracket, and within arithmetic at each of these operators, a
// dozen calls deep. Within these limits, which are far above what a real command needs, it does not exhaust
// the stack.
const (
	maxCommand = 256 << 10
	maxNesting = 10_000
	nesting    = "({[?=!~+-"
)

// parseCurl reads the first curl command in a text. The text is parsed and never executed: variables and
// command substitutions stay as they are written, and redirections are ignored. Files that curl would send
// are read with readFile. Errors and notes quote nothing of the text.
func parseCurl(text string, readFile func(name string) ([]byte, error)) (Request, error) {
	text = strings.TrimPrefix(text, "\ufeff")
	commands, err := curlCommands(text)
	c := &curl{readFile: readFile, request: Request{Header: map[string][]string{}}}
	if err == nil {
		err = c.parse(commands[0].args)
	}
	if err != nil {
		return Request{}, fmt.Errorf("--curl: %w; or give the request with --body and --headers", err)
	}
	c.noteIf(commands[0].expands, "the command has $… or `…` outside single quotes: a shell would replace it, and here it was read as it is written")
	c.noteIf(len(commands) > 1, "there is more than one command: only the first was read")
	c.noteIf(strings.Contains(text, "\r\n"), "the text has Windows line ends (CRLF): they were read as plain newlines")
	c.noteIf(c.request.Body == nil, "the command sends no body")
	c.noteIf(c.method != "" && c.method != "POST", "the method is not POST: the bridge answers such a request with 405")
	return c.request, nil
}

// command is one curl command, with its arguments as curl would receive them.
type command struct {
	args    []string
	expands bool // a shell would replace something in an argument
}

// curlCommands returns the curl commands in a text, up to the first syntax error. There is at least one,
// or an error.
func curlCommands(text string) ([]command, error) {
	if len(text) > maxCommand || countAny(text, nesting) > maxNesting {
		return nil, errors.New("it is too large for a command")
	}
	var found []command
	var fault error
	for stmt, err := range syntax.NewParser().StmtsSeq(strings.NewReader(text)) {
		if fault = cmp.Or(fault, err); fault != nil {
			continue // the iterator panics if it is left early: it may yield an error twice
		}
		for node := range syntax.Preorder(stmt) {
			if call, ok := node.(*syntax.CallExpr); ok {
				c := command{}
				for _, word := range call.Args {
					c.args = append(c.args, c.literal(word.Parts, text, unquotedEscape))
				}
				if i := slices.IndexFunc(c.args, isCurl); i >= 0 { // after a prompt, sudo and the like
					found = append(found, command{c.args[i+1:], c.expands})
				}
			}
		}
	}
	switch {
	case len(found) > 0:
		return found, nil
	case syntax.IsIncomplete(fault):
		return nil, errors.New("a quotation mark or bracket in it is not closed")
	case fault != nil:
		return nil, errors.New("it is not a command of a POSIX shell")
	}
	return nil, errors.New("there is no curl command in it")
}

func isCurl(word string) bool { return path.Base(word) == "curl" || path.Base(word) == "curl.exe" }

var (
	unquotedEscape = regexp.MustCompile(`(?s)\\(.)`)
	quotedEscape   = regexp.MustCompile("\\\\([\\\\$`\"])") // in double quotes
)

// literal returns a word without its quotes and escapes. What a shell would expand stays as it is written.
func (c *command) literal(parts []syntax.WordPart, text string, escape *regexp.Regexp) string {
	var b strings.Builder
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			b.WriteString(escape.ReplaceAllString(part.Value, "$1"))
		case *syntax.SglQuoted:
			value := part.Value
			if part.Dollar { // $'…', which browsers write; without arguments, Format only decodes escapes and cannot fail
				value, _, _ = expand.Format(&expand.Config{}, value, nil)
			}
			b.WriteString(value)
		case *syntax.DblQuoted:
			b.WriteString(c.literal(part.Parts, text, quotedEscape))
		default:
			b.WriteString(text[part.Pos().Offset():part.End().Offset()])
			c.expands = true
		}
	}
	return b.String()
}

// curl collects what the options of a command say about the request.
type curl struct {
	readFile func(name string) ([]byte, error)
	request  Request // its Body is nil if there is none
	method   string
}

func (c *curl) noteIf(applies bool, text string) {
	if applies {
		c.request.Notes = append(c.request.Notes, text)
	}
}

// The options that have a value: all short ones, and those of the long ones that matter. The value of
// another long option is taken for a URL, and URLs are ignored.
const shortWithValue = "AbCcDdEeFHKmoPQrTtUuwXxYyz"

var (
	shortNames    = map[byte]string{'d': "data", 'F': "form", 'H': "header", 'X': "request"}
	longWithValue = []string{"data", "data-ascii", "data-binary", "data-raw", "data-urlencode", "form", "form-string", "header", "json", "request"}
)

func (c *curl) parse(args []string) error {
	for len(args) > 0 && args[0] != "--next" { // what follows is another request
		name, value, complete := split(args[0])
		args = args[1:]
		if !complete && len(args) == 0 {
			return errors.New("its last option has no value")
		}
		if !complete {
			value, args = args[0], args[1:]
		}
		if err := c.option(name, value); err != nil {
			return err
		}
	}
	return nil
}

// split returns the name of an option, or "" if it does not matter. The option is complete unless its
// value is the next argument.
func split(arg string) (name, value string, complete bool) {
	if long, ok := strings.CutPrefix(arg, "--"); ok {
		name, value, complete = strings.Cut(long, "=") // curl does not accept this, but people write it
		return name, value, complete || !slices.Contains(longWithValue, name)
	}
	i := strings.IndexAny(arg, shortWithValue) // after flags, as in -sSXPOST
	if !strings.HasPrefix(arg, "-") || i < 0 {
		return "", "", true
	}
	return shortNames[arg[i]], arg[i+1:], i+1 < len(arg)
}

func (c *curl) option(name, value string) error {
	switch name {
	case "header":
		if name, value, _ := strings.Cut(value, ":"); strings.TrimSpace(value) != "" { // "Name:" removes a header of curl's own
			addHeader(c.request.Header, name, value)
		}
	case "request":
		c.method = value
	case "data", "data-ascii", "data-binary", "data-raw", "json":
		return c.data(name, value)
	case "data-urlencode", "form", "form-string":
		return errors.New("it sends a form, which Stripe never does")
	}
	return nil
}

// data appends to the body as curl does. Errors do not name the file: a secret is easily given instead.
func (c *curl) data(option, value string) error {
	data := []byte(value)
	if name, ok := strings.CutPrefix(value, "@"); ok && option != "data-raw" {
		if name == "-" {
			return fmt.Errorf("--%s reads standard input, which is not part of the command", option)
		}
		var err error
		if data, err = c.readFile(name); err != nil {
			return fmt.Errorf("the file of --%s cannot be read: %w", option, err)
		}
		if option == "data" || option == "data-ascii" {
			size := len(data)
			data = stripNewlines(data)
			c.noteIf(len(data) < size, "curl -d strips the newlines of a file, which was done here too: use --data-binary")
		}
	}
	if c.request.Body == nil {
		c.request.Body = []byte{}
	} else if option != "json" {
		c.request.Body = append(c.request.Body, '&')
	}
	c.request.Body = append(c.request.Body, data...)
	return nil
}

func countAny(text, chars string) int {
	count := 0
	for i := range len(text) {
		if strings.IndexByte(chars, text[i]) >= 0 {
			count++
		}
	}
	return count
}
