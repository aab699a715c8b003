package normalize

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
)

const (
	redacted = `"[redacted]"`
	// maxDepth is less than the 10,000 levels that encoding/json reads, because
	// the event is going to stand inside a message.
	maxDepth = 9_990
	// maxSteps is how many steps of a path are written, half at either end.
	maxSteps = 32
)

// edit is a value to be replaced, and its path.
type edit struct {
	start, end int
	path       string
}

// step leads to a member by its name, or to an element if there is no name.
type step struct {
	name string
	// member tells a member without a name from an element.
	member bool
	index  int
}

// redactor goes through a value once, whatever its nesting, and collects edits.
type redactor struct {
	src   value
	keys  map[string]bool
	path  []step
	edits []edit
	deep  bool
	// previous are the URLs in data.previous_attributes. What they mean is known
	// only from data.object, which may come later.
	previous []edit
	session  bool
}

// redact replaces what must not leave the ingress by the string "[redacted]",
// wherever it stands: values under the given keys, and the URLs of Checkout and
// portal sessions, which let whoever has them act as the customer. It lists the
// paths of what it replaced. Everything else keeps its bytes.
func redact(src value, keys map[string]bool) (value, []string, error) {
	r := redactor{src: src, keys: keys, path: make([]step, 0, 16)}
	r.value(0)
	if r.deep {
		return "", nil, errors.New("nested too deeply")
	}
	if r.session {
		r.edits = append(r.edits, r.previous...)
	}
	if len(r.edits) == 0 {
		return src, nil, nil
	}
	out, paths := r.apply()
	return out, paths, nil
}

func (r *redactor) value(i int) int {
	if len(r.path) >= maxDepth {
		r.deep = true
		return end(r.src, i)
	}
	switch r.src[i] {
	case '{':
		return r.object(i)
	case '[':
		return r.array(i)
	}
	return end(r.src, i)
}

func (r *redactor) array(i int) int {
	i++
	for n := 0; r.src[i] != ']'; n++ {
		r.path = append(r.path, step{index: n})
		i = next(r.src, r.value(i))
		r.path = r.path[:len(r.path)-1]
	}
	return i + 1
}

func (r *redactor) object(i int) int {
	var urls []edit
	session := false
	for i++; r.src[i] != '}'; {
		colon := stringEnd(r.src, i)
		name := unquote(r.src[i:colon])
		r.path = append(r.path, step{name: name, member: true})
		stop := r.member(name, colon+1)
		switch val := r.src[colon+1 : stop]; {
		case name == "object":
			session = session || isSession(val)
		case name == "url" && !val.isNull():
			urls = append(urls, edit{start: colon + 1, end: stop})
		}
		r.path = r.path[:len(r.path)-1]
		i = next(r.src, stop)
	}
	r.close(session, urls)
	return i + 1
}

// member goes through a value, or replaces it if its name says so.
func (r *redactor) member(name string, i int) int {
	if !r.keys[name] || r.src[i] == 'n' {
		return r.value(i)
	}
	stop := end(r.src, i)
	r.edits = append(r.edits, edit{i, stop, r.place()})
	return stop
}

// close is called at the end of an object, where it is known what it is.
func (r *redactor) close(session bool, urls []edit) {
	r.session = r.session || session && r.inData("object")
	switch {
	case session:
		r.edits = r.addURLs(r.edits, urls)
	case r.inData("previous_attributes"):
		r.previous = r.addURLs(r.previous, urls)
	}
}

func (r *redactor) inData(name string) bool {
	return len(r.path) == 2 && r.path[0].name == "data" && r.path[1].name == name
}

func (r *redactor) addURLs(edits, urls []edit) []edit {
	for _, e := range urls {
		r.path = append(r.path, step{name: "url", member: true})
		e.path = r.place()
		r.path = r.path[:len(r.path)-1]
		edits = append(edits, e)
	}
	return edits
}

// place is the present path; later ones are counted only, so not written.
func (r *redactor) place() string {
	if len(r.edits)+len(r.previous) > maxNotes {
		return ""
	}
	return pathOf(r.path)
}

func isSession(v value) bool {
	kind, _ := v.text()
	return kind == "checkout.session" || kind == "billing_portal.session"
}

// apply makes the edits, leaving out those inside of another.
func (r *redactor) apply() (value, []string) {
	slices.SortFunc(r.edits, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end))
	})
	out := make([]byte, 0, len(r.src))
	var paths notes
	done := 0
	for _, e := range r.edits {
		if e.start < done {
			continue
		}
		out = append(append(out, r.src[done:e.start]...), redacted...)
		done = e.end
		paths.add(e.path)
	}
	return value(append(out, r.src[done:]...)), paths.list()
}

// pathOf writes a path like data.object.lines.data[0].client_secret.
func pathOf(steps []step) string {
	b := make([]byte, 0, 128)
	for i, s := range steps {
		left := len(steps) - i
		if len(steps) > maxSteps && i >= maxSteps/2 && left > maxSteps/2 {
			continue
		}
		if len(steps) > maxSteps && left == maxSteps/2 {
			b = append(b, "…"...)
		}
		b = s.append(b)
	}
	return string(b)
}

func (s step) append(b []byte) []byte {
	if !s.member {
		return append(strconv.AppendInt(append(b, '['), int64(s.index), 10), ']')
	}
	if len(b) > 0 {
		b = append(b, '.')
	}
	return append(b, shorten(s.name)...)
}
