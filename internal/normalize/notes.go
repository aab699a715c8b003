package normalize

import (
	"slices"
	"strconv"
	"strings"
)

const (
	maxNotes = 100
	maxName  = 64
)

// notes collects warnings or redacted paths for a message. A hostile body could
// cause a million of them, so at most maxNotes are kept; the last one then says
// how many more there are.
type notes struct {
	texts []string
	count int
}

func (n *notes) add(text string) {
	if n.count++; n.count <= maxNotes {
		n.texts = append(n.texts, text)
	}
}

// addNew adds the other notes that n does not have, each with a prefix.
func (n *notes) addNew(prefix string, other *notes) {
	for _, text := range other.texts {
		if !slices.Contains(n.texts, text) {
			n.add(prefix + text)
		}
	}
}

func (n *notes) list() []string {
	if n.count <= maxNotes {
		return n.texts
	}
	more := n.count - (maxNotes - 1)
	return append(n.texts[:maxNotes-1:maxNotes-1], "and "+strconv.Itoa(more)+" more")
}

// shorten cuts a long name, which could otherwise fill a path.
func shorten(name string) string {
	if len(name) <= maxName {
		return name
	}
	return strings.ToValidUTF8(name[:maxName], "") + "…"
}
