package normalize

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// reader reads the members of one object. What has an odd type is left out and
// noted; null, redacted and absent members are not set, which is no fault.
type reader struct {
	object value
	path   string
	*sink
}

// sink is what all readers of one event share.
type sink struct {
	warn notes
}

func (s *sink) reader(v value, path string) reader { return reader{object: v, path: path, sink: s} }

func (r reader) get(name string) value { return set(r.object.get(name)) }

// set is v, or nothing if v says that something is not set.
func set(v value) value {
	if v.isNull() || v.raw() == redacted {
		return value{}
	}
	return v
}

func (r reader) has(name string) bool { return r.get(name).exists() }

// isSet reports whether there is an object to read.
func (r reader) isSet() bool { return r.object.exists() }

func (r reader) fault(name, why string) { r.warn.fault(r.at(name), why) }

func (r reader) at(name string) string {
	if r.path == "" {
		return name
	}
	return r.path + "." + name
}

// read looks a member up and converts it; "want" completes "not …".
func read[T any](r reader, name, want string, convert func(value) (T, bool)) (T, bool) {
	var zero T
	v := r.get(name)
	if !v.exists() {
		return zero, false
	}
	t, ok := convert(v)
	if !ok {
		r.fault(name, "not "+want)
		return zero, false
	}
	return t, true
}

func (r reader) text(name string) string {
	s, _ := read(r, name, "a string", value.text)
	return s
}

// reference is the id of another object, which may be expanded.
func (r reader) reference(name string) string {
	s, _ := read(r, name, "a reference", reference)
	return s
}

// decimal is a number as it is written, in a string or not.
func (r reader) decimal(name string) string {
	s, _ := read(r, name, "a decimal number", decimal)
	return s
}

func (r reader) moment(name string) time.Time {
	t, _ := read(r, name, "a time", moment)
	return t
}

func (r reader) integer(name string) *int64 {
	n, ok := read(r, name, "an integer", integer)
	if !ok {
		return nil
	}
	return &n
}

func (r reader) flag(name string) *bool {
	b, ok := read(r, name, "a boolean", flag)
	if !ok {
		return nil
	}
	return &b
}

// child reads an object inside this one. Where there is none, it reports false
// and every member of the child is absent.
func (r reader) child(name string) (reader, bool) {
	v, ok := read(r, name, "an object", func(v value) (value, bool) { return v, v.isObject() })
	if !ok {
		return reader{}, false
	}
	return r.reader(v, r.at(name)), true
}

// array is a list inside this object; nothing where there is none.
func (r reader) array(name string) value {
	v, _ := read(r, name, "an array", func(v value) (value, bool) { return v, v.isArray() })
	return v
}

// element reads an object in a list at a path.
func (r reader) element(list string, i int, v value) (reader, bool) {
	if !set(v).exists() {
		return reader{}, false
	}
	at := r.at(list) + "[" + strconv.Itoa(i) + "]"
	if !v.isObject() {
		r.warn.fault(at, "not an object")
		return reader{}, false
	}
	return r.reader(v, at), true
}

// reference accepts an expanded object without an id, like the discounts of old
// versions.
func reference(v value) (string, bool) {
	if v.isObject() {
		v = set(v.get("id"))
	}
	if !v.exists() {
		return "", true
	}
	return v.text()
}

func decimal(v value) (string, bool) {
	if v.isNumber() {
		return v.raw(), true
	}
	s, ok := v.text()
	if !ok {
		return "", false
	}
	number, err := parse([]byte(s))
	return s, err == nil && number.isNumber()
}

// integer accepts 2.0, which is how some languages write a whole number, as
// long as a float can be trusted with it.
func integer(v value) (int64, bool) {
	raw := v.raw()
	if n, err := strconv.ParseInt(raw, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// seconds is a Unix time, which may be written as a string of digits.
func seconds(v value) (int64, bool) {
	text, ok := v.text()
	if !ok {
		return integer(v)
	}
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// moment takes zero for "not set": nothing at Stripe happened in 1970.
func moment(v value) (time.Time, bool) {
	n, ok := seconds(v)
	if !ok || n <= 0 || n > maxUnix {
		return time.Time{}, false
	}
	return time.Unix(n, 0).UTC(), true
}

func flag(v value) (bool, bool) {
	raw := v.raw()
	return raw == "true", raw == "true" || raw == "false"
}
