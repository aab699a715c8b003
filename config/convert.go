package config

import (
	"cmp"
	"errors"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/secret"
)

// positive is the least duration of settings that only must be more than zero.
const positive = time.Nanosecond

func text(field *string) func(value) { return func(v value) { *field = v.text } }

func secretText(field *secret.Text) func(value) {
	return func(v value) { *field = secret.New(v.text) }
}

func present(field *string) func(value) {
	return func(v value) {
		if *field = v.text; v.text == "" {
			v.fault("must not be empty")
		}
	}
}

// name accepts what both JetStream accepts as a name and every operating system as a file name.
func name(field *string) func(value) {
	return func(v value) {
		if *field = v.text; !matches(`[A-Za-z0-9_-]{1,255}`, v.text) {
			v.fault("must be 1 to 255 letters, digits, _ or -, not %s", quote(v.text))
		}
	}
}

// collection accepts a name that may begin the names of other collections.
func collection(field *string) func(value) {
	return func(v value) {
		if *field = v.text; !matches(`[A-Za-z][A-Za-z0-9_-]{0,63}`, v.text) {
			v.fault("must be 1 to 64 letters, digits, _ or -, and begin with a letter, not %s", quote(v.text))
		}
	}
}

// word accepts one of the setting's words.
func word(field *string) func(value) {
	return func(v value) {
		if *field = v.text; !slices.Contains(v.Words, v.text) {
			v.fault("must be %s, not %s", strings.Join(v.Words, " or "), quote(v.text))
		}
	}
}

// onOff accepts true and false. An option is turned on by its flag, without a value.
func onOff(field *bool) func(value) {
	return func(v value) {
		switch *field = v.text == "true"; {
		case *field, v.text == "false":
		case v.Env == "":
			v.fault("takes no value")
		default:
			v.fault("must be true or false, not %s", quote(v.text))
		}
	}
}

func number[T int | int64 | uint64](field *T, least, most int64) func(value) {
	return func(v value) {
		n, err := strconv.ParseInt(v.text, 10, 64)
		if *field = T(n); err != nil || n < least || n > most {
			v.fault("must be a whole number from %d to %d, not %s", least, most, quote(v.text))
		}
	}
}

// fraction accepts a number from 0 to most.
func fraction(field *float64, most float64) func(value) {
	return func(v value) {
		n, err := strconv.ParseFloat(v.text, 64)
		if *field = n; err != nil || math.IsNaN(n) || n < 0 || n > most {
			v.fault("must be a number from 0 to %s, not %s", strconv.FormatFloat(most, 'f', -1, 64), quote(v.text))
		}
	}
}

func duration(field *time.Duration, least time.Duration) func(value) {
	return func(v value) {
		d, err := parseDuration(v.text)
		switch *field = d; {
		case err != nil:
			v.fault("must be a duration like 90s, 5m, 72h or 34d, not %s", quote(v.text))
		case d < least && least == positive:
			v.fault("must be positive, not %s", quote(v.text))
		case d < least:
			v.fault("must be at least %s, not %s", least, quote(v.text))
		}
	}
}

// parseDuration also accepts whole days, before everything else: 34d, 1d12h.
func parseDuration(text string) (time.Duration, error) {
	number, rest, found := strings.Cut(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	days, err := strconv.ParseUint(number, 10, 16)
	if err != nil || strings.HasPrefix(rest, "-") {
		return 0, errors.New("not a whole number of days")
	}
	tail, err := time.ParseDuration(cmp.Or(rest, "0"))
	total := time.Duration(days)*24*time.Hour + tail
	if total < 0 {
		return 0, errors.New("too long")
	}
	return total, err
}

// Moment is a time, or a duration before now. The zero Moment is neither.
type Moment struct {
	At   time.Time
	Ago  time.Duration
	Text string // as it was given
}

// Time returns the time of the moment, seen from now. It is zero for the zero Moment.
func (m Moment) Time(now time.Time) time.Time {
	if m.Ago != 0 {
		return now.Add(-m.Ago)
	}
	return m.At
}

func moment(field *Moment) func(value) {
	return func(v value) {
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if at, err := time.Parse(layout, v.text); err == nil {
				*field = Moment{At: at.UTC(), Text: v.text}
				return
			}
		}
		ago, err := parseDuration(v.text)
		if *field = (Moment{Ago: ago, Text: v.text}); err != nil || ago <= 0 {
			v.fault("must be a time like 2026-01-31 or 2026-01-31T12:00:00Z, or how long ago, like 36h or 7d, not %s", quote(v.text))
		}
	}
}

// addr accepts an address to listen on.
func addr(field *string) func(value) {
	return func(v value) {
		_, port, err := net.SplitHostPort(v.text)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if *field = v.text; err != nil {
			v.fault("must be host:port or :port, not %s", quote(v.text))
		}
	}
}

// readable accepts the name of a file that is opened later, and checks that this will succeed.
func readable(field *string) func(value) {
	return func(v value) {
		*field = v.text
		if _, err := os.ReadFile(v.text); err != nil {
			v.fault("cannot be read: %v", withoutPath(err))
		}
	}
}

// fileWith accepts the name of a file that is opened later, and checks its contents.
func fileWith(field *string, check func(contents []byte) error) func(value) {
	return func(v value) {
		*field = v.text
		contents, err := os.ReadFile(v.text)
		if err != nil {
			v.fault("cannot be read: %v", withoutPath(err))
		} else if err := check(contents); err != nil {
			v.fault("the file %v", err)
		}
	}
}

// accountOrPlatform accepts the name of one account.
func accountOrPlatform(field *string) func(value) {
	return func(v value) {
		if *field = v.text; v.text != "platform" && !isAccount(v.text) {
			v.fault("must be acct_… or platform, not %s", quote(v.text))
		}
	}
}

func list(field *[]string) func(value) { return func(v value) { *field = split(v.text) } }

// words accepts a list of the setting's words. One word more means all of them.
func words(field *[]string, all string, meaning []string) func(value) {
	return func(v value) {
		*field = split(v.text)
		if slices.Equal(*field, []string{all}) {
			*field = meaning
			return
		}
		for i, entry := range *field {
			if !slices.Contains(v.Words, entry) {
				v.fault("entry %d must be one of %s, not %s", i+1, strings.Join(v.Words, ", "), quote(entry))
			}
		}
	}
}

// split returns the entries of a comma-separated list, without the blank ones.
func split(text string) []string {
	var list []string
	for entry := range strings.SplitSeq(text, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			list = append(list, entry)
		}
	}
	return list
}
