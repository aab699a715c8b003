package normalize

import (
	"cmp"
	"slices"
	"strconv"
)

const (
	redacted = `"[redacted]"`
	// maxSteps is the number of steps that are written of a path, half of them
	// at each end.
	maxSteps = 32
)

// CannotRedact reports whether a key must not be redacted, because without its
// value an event cannot be recognized, admitted or assigned to a subscription.
func CannotRedact(key string) bool {
	switch key {
	case "account", "api_version", "client_reference_id", "context", "created", "customer", "data", "id", "items", "livemode",
		"object", "previous_attributes", "related_object", "status", "subscription", "type", "user_id":
		return true
	}
	return false
}

// secrets are the names whose values are redacted wherever they occur.
type secrets struct {
	names map[string]bool
	// lengths has a bit for the length of each name, which spares the lookup for
	// nearly every name in an event. All lengths from 63 on share the last bit.
	lengths uint64
}

func newSecrets(names []string) secrets {
	s := secrets{names: make(map[string]bool, len(names))}
	for _, name := range names {
		s.names[name] = true
		s.lengths |= lengthBit(name)
	}
	return s
}

func lengthBit(name string) uint64 { return 1 << min(len(name), 63) }

func (s secrets) has(name string) bool { return s.lengths&lengthBit(name) != 0 && s.names[name] }

// redact replaces secrets by the string "[redacted]", wherever they are: the
// values of secret names, and the URLs of Checkout and portal sessions, with
// which anyone can act as the customer. It returns the paths of the replaced
// values. Everything else keeps its bytes.
func redact(src value, names secrets) (value, []string) {
	r := redactor{doc: src.doc, open: make([]uint32, 0, 16)}
	for i := uint32(0); int(i) < len(r.doc.nodes); {
		i = r.visit(i, names)
	}
	if isSession(src.get("data").get("object")) {
		r.urls(src.get("data").get("previous_attributes"))
	}
	if len(r.edits) == 0 {
		return src, nil
	}
	out, paths := r.apply()
	return mustParse(out), paths
}

// redactor scans a document once and collects edits.
type redactor struct {
	doc   *document
	open  []uint32 // the objects and arrays around the current node
	edits []edit
	// sessions are the objects whose URLs were replaced. A hostile object can
	// repeat its type many times.
	sessions map[uint32]bool
}

// edit is a value to be replaced.
type edit struct {
	node uint32
	path string
}

// visit returns the node to visit next. The contents of a replaced value are
// skipped.
func (r *redactor) visit(i uint32, names secrets) uint32 {
	r.enter(i)
	v := value{r.doc, i}
	name := v.name()
	switch {
	case names.has(name) && !v.isNull():
		r.replace(i)
		return r.doc.nodes[i].next
	case name == "object" && isSessionType(v):
		r.urls(value{r.doc, r.open[len(r.open)-2]})
	}
	return i + 1
}

// enter closes what ends before a node, and opens the node.
func (r *redactor) enter(i uint32) {
	for len(r.open) > 0 && r.doc.nodes[r.open[len(r.open)-1]].next <= i {
		r.open = r.open[:len(r.open)-1]
	}
	r.open = append(r.open, i)
}

// urls replaces the URLs in an object that is or was a session.
func (r *redactor) urls(session value) {
	if !session.exists() || r.sessions[session.index] {
		return
	}
	if r.sessions == nil {
		r.sessions = map[uint32]bool{}
	}
	r.sessions[session.index] = true
	for name, v := range session.members() {
		if name == "url" && !v.isNull() {
			r.replace(v.index)
		}
	}
}

// isSession looks at every member called object: another reader of the JSON may
// take the first of several.
func isSession(v value) bool {
	for name, member := range v.members() {
		if name == "object" && isSessionType(member) {
			return true
		}
	}
	return false
}

func isSessionType(v value) bool {
	kind, _ := v.text()
	return kind == "checkout.session" || kind == "billing_portal.session"
}

// replace adds an edit. Edits after the first maxNotes are only counted and need
// no path.
func (r *redactor) replace(i uint32) {
	e := edit{node: i}
	if len(r.edits) <= maxNotes {
		e.path = pathOf(r.doc.steps(i))
	}
	r.edits = append(r.edits, e)
}

// step leads to a member, or to an element by its index.
type step struct {
	member value
	index  int
}

// steps returns the way from the root to a node.
func (d *document) steps(i uint32) []step {
	nodes := d.nodes
	steps := make([]step, 0, 16)
	for at := uint32(0); at != i; {
		var s step
		for at++; nodes[at].next <= i; at = nodes[at].next {
			s.index++
		}
		if nodes[at].nameEnd > 0 {
			s.member = value{d, at}
		}
		steps = append(steps, s)
	}
	return steps
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
	if !s.member.exists() {
		return append(strconv.AppendInt(append(b, '['), int64(s.index), 10), ']')
	}
	if len(b) > 0 {
		b = append(b, '.')
	}
	return append(b, shorten(s.member.name())...)
}

// apply makes the edits, each once.
func (r *redactor) apply() (string, []string) {
	slices.SortStableFunc(r.edits, func(a, b edit) int { return cmp.Compare(a.node, b.node) })
	out := make([]byte, 0, len(r.doc.text))
	var paths notes
	done := uint32(0)
	for _, e := range r.edits {
		n := r.doc.nodes[e.node]
		if n.start < done {
			continue
		}
		out = append(append(out, r.doc.text[done:n.start]...), redacted...)
		done = n.end
		paths.add(e.path)
	}
	return string(append(out, r.doc.text[done:]...)), paths.list()
}
