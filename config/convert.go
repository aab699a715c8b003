package config

import (
	"cmp"
	"errors"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/secret"
)

// nameRule is what JetStream takes as a name and every operating system as a file name.
const nameRule = `[A-Za-z0-9_-]{1,255}`

// positive is the least duration of settings that only must not be zero or negative.
const positive = time.Nanosecond

// quote shows a value in a fault, unless it looks like a secret that was put in the wrong place.
func quote(value string) string {
	if regexp.MustCompile(`whsec_|sk_|rk_|@|://`).MatchString(value) || len(value) > 80 {
		return "what is set"
	}
	return strconv.Quote(value)
}

// present reads a text that must not be empty.
func (r *reader) present(env string) string {
	if r.text[env] == "" {
		r.fault(env, "must not be empty")
	}
	return r.text[env]
}

// name reads the name of a stream or a consumer.
func (r *reader) name(env string) string {
	value := r.text[env]
	if !matches(nameRule, value) {
		r.fault(env, "must be 1 to 255 letters, digits, _ or -, not %s", quote(value))
	}
	return value
}

// oneOf reads one of a few words.
func (r *reader) oneOf(env string, words ...string) string {
	value := r.text[env]
	if !slices.Contains(words, value) {
		r.fault(env, "must be %s, not %s", strings.Join(words, " or "), quote(value))
	}
	return value
}

// integer reads a whole number from least to most.
func (r *reader) integer(env string, least, most int64) int64 {
	value, err := strconv.ParseInt(r.text[env], 10, 64)
	if err != nil || value < least || value > most {
		r.fault(env, "must be a whole number from %d to %d, not %s", least, most, quote(r.text[env]))
	}
	return value
}

// duration reads a duration of at least that length.
func (r *reader) duration(env string, least time.Duration) time.Duration {
	value, err := parseDuration(r.text[env])
	if err != nil {
		r.fault(env, "must be a duration like 90s, 5m, 72h or 34d, not %s", quote(r.text[env]))
		return 0
	}
	if value < least && least == positive {
		r.fault(env, "must be positive, not %s", quote(r.text[env]))
	} else if value < least {
		r.fault(env, "must be at least %s, not %s", least, quote(r.text[env]))
	}
	return value
}

// parseDuration also takes whole days, in front of everything else: 34d, 1d12h.
func parseDuration(text string) (time.Duration, error) {
	number, rest, found := strings.Cut(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	days, err := strconv.ParseUint(number, 10, 16)
	if err != nil || strings.HasPrefix(rest, "-") {
		return 0, errors.New("no whole number of days")
	}
	tail, err := time.ParseDuration(cmp.Or(rest, "0"))
	total := time.Duration(days)*24*time.Hour + tail
	if total < 0 {
		return 0, errors.New("too long")
	}
	return total, err
}

// addr reads an address to listen on.
func (r *reader) addr(env string) string {
	value := r.text[env]
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		r.fault(env, "must be host:port or :port, not %s", quote(value))
	}
	return value
}

// list reads a comma-separated list.
func (r *reader) list(env string) []string { return split(r.text[env]) }

// secret reads a text that is never shown, from the setting itself or from its file.
func (r *reader) secret(env string) secret.Text {
	text, _ := r.content(env)
	return secret.New(text)
}

// file reads the name of a file that somebody else will open, and checks that this will succeed.
func (r *reader) file(env string) string {
	name := r.text[env]
	if name == "" {
		return ""
	}
	if _, err := os.ReadFile(name); err != nil {
		r.fault(env, "cannot be read: %v", cause(err))
	}
	return name
}
