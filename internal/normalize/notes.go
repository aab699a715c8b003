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

// notes is a list of short texts for the message. A hostile body could ask for
// a million of them, so it holds at most maxNotes; the last says how many more.
type notes struct {
	texts []string
	count int
}

func (n *notes) add(text string) {
	if n.count++; n.count <= maxNotes {
		n.texts = append(n.texts, text)
	}
}

// fault notes that the value at a path could not be read.
func (n *notes) fault(path, why string) { n.add(path + ": " + why) }

// addNew adds the notes of another list that are not in this one.
func (n *notes) addNew(prefix string, other notes) {
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

// shorten keeps hostile names from filling paths.
func shorten(name string) string {
	if len(name) <= maxName {
		return name
	}
	return strings.ToValidUTF8(name[:maxName], "") + "…"
}
