package normalize

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// reader reads the members of one object. A member of an unexpected type is left
// out with a warning. One that is absent, null or redacted is not set, without a
// warning.
type reader struct {
	object   value
	path     string
	warnings *notes
}

func (in input) reader() reader { return reader{in.root, "", in.warnings} }

func (r reader) exists() bool { return r.object.exists() }

func (r reader) get(name string) value { return set(r.object.get(name)) }

func (r reader) has(name string) bool { return r.get(name).exists() }

// set returns v, or nothing if v is null or redacted.
func set(v value) value {
	if v.isNull() || v.raw() == redacted {
		return value{}
	}
	return v
}

func (r reader) warn(name, why string) { r.warnings.add(r.at(name) + ": " + why) }

func (r reader) at(name string) string {
	if r.path == "" {
		return name
	}
	return r.path + "." + name
}

// read looks up a member and converts it. If it cannot be converted, the warning
// is "not " + want.
func read[T any](r reader, name, want string, convert func(value) (T, bool)) (T, bool) {
	var zero T
	v := r.get(name)
	if !v.exists() {
		return zero, false
	}
	t, ok := convert(v)
	if !ok {
		r.warn(name, "not "+want)
		return zero, false
	}
	return t, true
}

func (r reader) text(name string) string {
	s, _ := read(r, name, "a string", value.text)
	return s
}

// reference returns the id of another object, which may be expanded.
func (r reader) reference(name string) string {
	s, _ := read(r, name, "a reference", reference)
	return s
}

// decimal returns a number as it is written, whether or not it is in a string.
func (r reader) decimal(name string) string {
	s, _ := read(r, name, "a decimal number", decimal)
	return s
}

// percent returns a decimal number without trailing zeros after the point.
func (r reader) percent(name string) string {
	p := r.decimal(name)
	if !strings.Contains(p, ".") || strings.ContainsAny(p, "eE") {
		return p
	}
	return strings.TrimRight(strings.TrimRight(p, "0"), ".")
}

// references returns the ids in an array of objects, which may be expanded.
func (r reader) references(name string) []string {
	var ids []string
	for i, v := range r.array(name).elements() {
		id, ok := reference(set(v))
		if !ok {
			r.warn(name+"["+strconv.Itoa(i)+"]", "not a reference")
		}
		if id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func (r reader) moment(name string) time.Time {
	t, _ := read(r, name, "a time", moment)
	return t
}

func (r reader) integer(name string) *int64 {
	n, ok := read(r, name, "an integer", integer)
	return optional(n, ok)
}

func (r reader) flag(name string) *bool {
	b, ok := read(r, name, "a boolean", flag)
	return optional(b, ok)
}

func optional[T any](t T, ok bool) *T {
	if !ok {
		return nil
	}
	return new(t) // not &t, which would allocate in the other case too
}

func (r reader) isTrue(name string) bool {
	b, _ := read(r, name, "a boolean", flag)
	return b
}

// child returns an object inside this one. If there is none, the child does not
// exist and all its members are absent.
func (r reader) child(name string) reader {
	v, ok := read(r, name, "an object", func(v value) (value, bool) { return v, v.isObject() })
	if !ok {
		return reader{}
	}
	return r.inside(name, v)
}

// inside returns a reader of v, the object called name.
func (r reader) inside(name string, v value) reader { return reader{v, r.at(name), r.warnings} }

// array returns an array inside this object, or nothing if there is none.
func (r reader) array(name string) value {
	v, _ := read(r, name, "an array", func(v value) (value, bool) { return v, v.isArray() })
	return v
}

// element returns v, the object at index i of the array called list.
func (r reader) element(list string, i int, v value) reader {
	if !set(v).exists() {
		return reader{}
	}
	name := list + "[" + strconv.Itoa(i) + "]"
	if !v.isObject() {
		r.warn(name, "not an object")
		return reader{}
	}
	return r.inside(name, v)
}

// reference accepts an expanded object without an id, such as a discount in old
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
	p := parser{text: []byte(s)}
	p.skip()
	return s, p.number() && p.skip() == 0 && p.at == len(s)
}

// integer accepts 2.0, as some languages write a whole number, if a float can
// hold it exactly.
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

// seconds returns a Unix time, which may be written as a string of digits.
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

// moment treats zero as "not set": nothing happened at Stripe in 1970.
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
