package normalize

import (
	"cmp"
	"iter"
	"slices"
	"strconv"
)

const (
	redacted = `"[redacted]"`
	// maxSteps is how many steps of a path are written, half at either end.
	maxSteps = 32
)

// edit is a value to be replaced.
type edit struct {
	node uint32
	path string
}

// secrets are the names whose values are redacted wherever they occur.
type secrets struct {
	names map[string]bool
	// lengths has a bit for each length of a name: it spares nearly every name
	// in an event the look-up. The last bit stands for all longer ones.
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

// redactor goes through a document once and collects edits.
type redactor struct {
	doc   *document
	open  []uint32 // the objects and arrays around the present node
	edits []edit
	// sessions are the objects whose URLs were replaced already: a hostile object
	// can say many times what it is.
	sessions map[uint32]bool
}

// redact replaces what must not leave the ingress by the string "[redacted]",
// wherever it stands: the values of secret names, and the URLs of Checkout and
// portal sessions, which let whoever has them act as the customer. It lists the
// paths of what it replaced. Everything else keeps its bytes.
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
	return view(out), paths
}

// visit returns the node to visit next: there is nothing to look for in what is
// replaced.
func (r *redactor) visit(i uint32, names secrets) uint32 {
	r.enter(i)
	v := value{r.doc, i}
	name := v.name()
	switch {
	case names.has(name) && !v.isNull():
		r.replace(i)
		return r.doc.nodes[i].next
	case name == "object" && saysSession(v):
		r.urls(value{r.doc, r.open[len(r.open)-2]})
	}
	return i + 1
}

// enter leaves what ends before a node, and opens the node.
func (r *redactor) enter(i uint32) {
	for len(r.open) > 0 && r.doc.nodes[r.open[len(r.open)-1]].next <= i {
		r.open = r.open[:len(r.open)-1]
	}
	r.open = append(r.open, i)
}

// urls replaces those in an object that is a session, or was one.
func (r *redactor) urls(session value) {
	if !session.exists() || r.sessions[session.node] {
		return
	}
	if r.sessions == nil {
		r.sessions = map[uint32]bool{}
	}
	r.sessions[session.node] = true
	for name, v := range session.members() {
		if name == "url" && !v.isNull() {
			r.replace(v.node)
		}
	}
}

// replace adds an edit. Later ones are counted only, so have no path.
func (r *redactor) replace(i uint32) {
	e := edit{node: i}
	if len(r.edits) <= maxNotes {
		e.path = pathOf(r.path(i))
	}
	r.edits = append(r.edits, e)
}

func saysSession(v value) bool {
	kind, _ := v.text()
	return kind == "checkout.session" || kind == "billing_portal.session"
}

// isSession goes by any object member: whoever reads the JSON may take the first
// of several.
func isSession(v value) bool {
	for name, each := range v.members() {
		if name == "object" && saysSession(each) {
			return true
		}
	}
	return false
}

// wayTo goes from below the root down to a node.
func (r *redactor) wayTo(i uint32) iter.Seq2[uint32, int] {
	return func(yield func(node uint32, index int) bool) {
		nodes := r.doc.nodes
		for at := uint32(0); at != i; {
			index := 0
			for at++; nodes[at].next <= i; at = nodes[at].next {
				index++
			}
			if !yield(at, index) {
				return
			}
		}
	}
}

func (r *redactor) path(i uint32) []step {
	steps := make([]step, 0, 16)
	for at, index := range r.wayTo(i) {
		s := step{index: index}
		if r.doc.nodes[at].nameEnd > 0 {
			s.member = value{r.doc, at}
		}
		steps = append(steps, s)
	}
	return steps
}

// step leads to a member, or to an element by its index.
type step struct {
	member value
	index  int
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
