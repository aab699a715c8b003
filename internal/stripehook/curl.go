package stripehook

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// ParseCurl reads a curl command as it is pasted from a browser, a log or a
// script: the first one in the text. Files that it names are read by readFile.
// Errors and notes quote nothing of the command.
func ParseCurl(text string, readFile func(name string) ([]byte, error)) (Capture, error) {
	shell := &shellWords{text: strings.TrimPrefix(text, "\ufeff")}
	args, err := curlArgs(shell)
	if err != nil {
		return Capture{}, err
	}
	c := &curl{args: args, readFile: readFile, capture: Capture{Header: http.Header{}}}
	if shell.vars {
		c.note("the command has $… or `…`, which a shell replaces: here it stands as it is")
	}
	if strings.Contains(shell.rest(), "curl ") {
		c.note("there is more than one command: only the first is read")
	}
	if err := c.parse(); err != nil {
		return Capture{}, err
	}
	return c.finish(), nil
}

// curlArgs finds the first command that runs curl, whatever stands before it.
func curlArgs(shell *shellWords) ([]string, error) {
	for {
		if err := shell.command(); err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(shell.words, isCurl); i >= 0 {
			return shell.words[i+1:], nil
		}
		if len(shell.words) == 0 && shell.rest() == "" {
			return nil, errors.New("there is no curl command in it")
		}
	}
}

func isCurl(word string) bool {
	name := strings.ToLower(path.Base(strings.ReplaceAll(word, `\`, "/")))
	return name == "curl" || name == "curl.exe"
}

type curl struct {
	args     []string
	readFile func(string) ([]byte, error)
	capture  Capture
	body     []byte
	hasBody  bool
	inURL    bool // -G
}

func (c *curl) note(text string) { c.capture.Notes = append(c.capture.Notes, text) }

func (c *curl) parse() error {
	for len(c.args) > 0 {
		arg := c.args[0]
		c.args = c.args[1:]
		var err error
		switch {
		case arg == "--next" || arg == "-:":
			c.note("there is more than one request: only the first is read")
			return nil
		case strings.HasPrefix(arg, "--"):
			err = c.long(arg[2:])
		case strings.HasPrefix(arg, "-") && arg != "-":
			err = c.short(arg[1:])
		default:
			c.url(arg)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *curl) url(text string) {
	if c.capture.URL == "" {
		c.capture.URL = text
	}
}

// short reads -sSX POST, -XPOST and their like: the letters up to the first that
// takes a value, which is the rest or the next argument.
func (c *curl) short(letters string) error {
	for i, letter := range letters {
		name, valued := shortOptions[letter]
		if !valued {
			c.flag(map[rune]string{'G': "get", 'I': "head"}[letter])
			continue
		}
		rest := letters[i+len(string(letter)):]
		if rest != "" {
			return c.option(name, rest)
		}
		return c.valued(name)
	}
	return nil
}

func (c *curl) long(name string) error {
	if name, value, ok := strings.Cut(name, "="); ok && longOptions[name] { // curl does not take this, people write it
		return c.option(name, value)
	}
	if longOptions[name] {
		return c.valued(name)
	}
	c.flag(name)
	return nil
}

func (c *curl) valued(name string) error {
	if len(c.args) == 0 {
		return errors.New("its last option lacks a value")
	}
	value := c.args[0]
	c.args = c.args[1:]
	return c.option(name, value)
}

func (c *curl) flag(name string) {
	switch name {
	case "get":
		c.inURL = true
	case "head":
		c.capture.Method = http.MethodHead
	}
}

func (c *curl) option(name, value string) error {
	switch name {
	case "header":
		return c.header(value)
	case "user-agent":
		c.capture.Header.Set("User-Agent", value)
	case "request":
		c.capture.Method = value
	case "url":
		c.url(value)
	case "data", "data-ascii", "data-raw", "data-binary", "data-urlencode", "json":
		return c.data(name, value)
	case "upload-file":
		return c.upload(value)
	case "form", "form-string":
		return errors.New("it sends a multipart form, which Stripe never does")
	}
	return nil
}

// header reads one as curl does: "Name:" takes one of curl's own away, "Name;"
// is an empty one, @file holds several.
func (c *curl) header(text string) error {
	if file, ok := strings.CutPrefix(text, "@"); ok {
		data, err := c.file("header", file)
		for name, values := range ParseHeaders(string(data)) {
			for _, value := range values {
				add(c.capture.Header, name, value)
			}
		}
		return err
	}
	name, value, ok := strings.Cut(text, ":")
	if empty, found := strings.CutSuffix(text, ";"); !ok && found {
		name, ok = empty, true
	} else if strings.TrimSpace(value) == "" {
		return nil
	}
	if name = strings.TrimSpace(name); ok && token.MatchString(name) {
		add(c.capture.Header, name, strings.TrimSpace(value))
	}
	return nil
}

func (c *curl) data(name, value string) error {
	piece, err := c.piece(name, value)
	if err != nil {
		return err
	}
	if c.hasBody && name != "json" {
		c.body = append(c.body, '&')
	}
	c.body, c.hasBody = append(c.body, piece...), true
	return nil
}

func (c *curl) piece(name, value string) ([]byte, error) {
	if name == "data-raw" {
		return []byte(value), nil
	}
	if name == "data-urlencode" {
		return c.encoded(value)
	}
	file, ok := strings.CutPrefix(value, "@")
	if !ok {
		return []byte(value), nil
	}
	data, err := c.file(name, file)
	if err == nil && (name == "data" || name == "data-ascii") {
		data = c.strip(data)
	}
	return data, err
}

// strip is what curl does with a file after -d, and rarely expected.
func (c *curl) strip(data []byte) []byte {
	stripped := bytes.ReplaceAll(stripLines(data), []byte{0}, nil)
	if len(stripped) != len(data) {
		c.note("curl -d strips the line ends of a file, and so did this reading: --data-binary sends it as it is")
	}
	return stripped
}

// encoded reads --data-urlencode: content, =content, name=content, @file, name@file.
func (c *curl) encoded(value string) ([]byte, error) {
	i := strings.IndexAny(value, "=@")
	if i < 0 {
		return []byte(url.QueryEscape(value)), nil
	}
	name, content := value[:i], []byte(value[i+1:])
	if value[i] == '@' {
		var err error
		if content, err = c.file("data-urlencode", value[i+1:]); err != nil {
			return nil, err
		}
	}
	if name != "" {
		name += "="
	}
	return []byte(name + url.QueryEscape(string(content))), nil
}

func (c *curl) upload(file string) error {
	data, err := c.file("upload-file", file)
	if err != nil {
		return err
	}
	c.body, c.hasBody = data, true
	if c.capture.Method == "" {
		c.capture.Method = http.MethodPut
	}
	return nil
}

// file does not name the file in its errors: a secret may stand in its place.
func (c *curl) file(option, name string) ([]byte, error) {
	if name == "-" || name == "." {
		return nil, fmt.Errorf("--%s takes its value from standard input, which is not here", option)
	}
	data, err := c.readFile(name)
	if err != nil {
		return nil, fmt.Errorf("the file of --%s cannot be read: %w", option, err)
	}
	return data, nil
}

func (c *curl) finish() Capture {
	if c.inURL {
		c.body, c.hasBody = nil, false
	}
	c.capture.Body = c.body
	if c.capture.Method == "" {
		c.capture.Method = http.MethodGet
		if c.hasBody {
			c.capture.Method = http.MethodPost
		}
	}
	if !c.hasBody {
		c.note("the command sends no body")
	}
	if c.capture.Method != http.MethodPost {
		c.note("the method is not POST: such a request is answered 405")
	}
	return c.capture
}

// shortOptions are those that take a value, with their long names where those matter.
var shortOptions = map[rune]string{
	'A': "user-agent", 'd': "data", 'F': "form", 'H': "header", 'T': "upload-file", 'X': "request",
	'b': "", 'C': "", 'c': "", 'D': "", 'E': "", 'e': "", 'K': "", 'm': "", 'o': "", 'P': "", 'Q': "",
	'r': "", 't': "", 'U': "", 'u': "", 'w': "", 'x': "", 'Y': "", 'y': "", 'z': "",
}

// longOptions are those that take a value: without them, values would be read as
// options and URLs.
var longOptions = func() map[string]bool {
	options := make(map[string]bool)
	for name := range strings.FieldsSeq(`abstract-unix-socket alt-svc aws-sigv4 cacert capath cert cert-type ciphers config
		connect-timeout connect-to continue-at cookie cookie-jar create-file-mode crlfile curves data data-ascii data-binary
		data-raw data-urlencode delegation dns-interface dns-ipv4-addr dns-ipv6-addr dns-servers doh-url dump-header ech
		egd-file engine etag-compare etag-save expect100-timeout form form-string ftp-account ftp-alternative-to-user
		ftp-method ftp-port ftp-ssl-ccc-mode happy-eyeballs-timeout-ms haproxy-clientip header hostpubmd5 hostpubsha256
		hsts interface ip-tos ipfs-gateway json keepalive-cnt keepalive-time key key-type krb libcurl limit-rate local-port
		login-options mail-auth mail-from mail-rcpt max-filesize max-redirs max-time netrc-file noproxy oauth2-bearer output
		output-dir parallel-max pass pinnedpubkey postquote preproxy prequote proto proto-default proto-redir proxy
		proxy-cacert proxy-capath proxy-cert proxy-cert-type proxy-ciphers proxy-crlfile proxy-header proxy-key
		proxy-key-type proxy-pass proxy-pinnedpubkey proxy-service-name proxy-tls13-ciphers proxy-tlsauthtype
		proxy-tlspassword proxy-tlsuser proxy-user proxy1.0 pubkey quote random-file range rate referer request
		request-target resolve retry retry-delay retry-max-time sasl-authzid service-name socks4 socks4a socks5
		socks5-gssapi-service socks5-hostname speed-limit speed-time stderr telnet-option tftp-blksize time-cond tls-max
		tls13-ciphers tlsauthtype tlspassword tlsuser trace trace-ascii trace-config unix-socket upload-file url url-query
		user user-agent variable vlan-priority write-out`) {
		options[name] = true
	}
	return options
}()
