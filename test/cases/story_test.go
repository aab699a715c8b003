package cases_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxOrders is how many orders of a story are sent. A story with fewer permutations is sent in
// all of them.
const maxOrders = 50

// story is a folder of testdata.
type story struct {
	name   string
	word   string // what the ids of the story have in common
	ids    []string
	events [][]byte
	want   []byte // expected.json
}

var eventID = regexp.MustCompile(`"(evt_([a-z0-9]+)_\d+)"`)

func loadStory(t *testing.T, name string) story {
	t.Helper()
	s := story{name: name, want: file(t, name, "expected.json")}
	for n := 1; ; n++ {
		raw, err := os.ReadFile(filepath.Join("testdata", name, fmt.Sprintf("%02d.json", n)))
		if err != nil {
			break
		}
		id := eventID.FindSubmatch(raw)
		if id == nil {
			t.Fatalf("%s/%02d.json: the id is not like evt_word_1", name, n)
		}
		s.word, s.events = string(id[2]), append(s.events, raw)
		if !slices.Contains(s.ids, string(id[1])) {
			s.ids = append(s.ids, string(id[1]))
		}
	}
	if len(s.events) == 0 {
		t.Fatalf("%s has no events", name)
	}
	return s
}

func file(t *testing.T, story, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", story, name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// order is an order of the events of a story, with ids of its own.
type order struct {
	story
	sequence []int
	rename   *strings.Replacer
}

// orders returns all orders of a story, or maxOrders of them: as written, reversed, and random
// ones.
func (s story) orders(random *rand.Rand) []order {
	var all []order
	for i, sequence := range sequences(len(s.events), random) {
		all = append(all, order{s, sequence, s.renamed(random, i%2 == 1)})
	}
	return all
}

// renamed replaces the word of the story, so that several orders can be stored in one
// database. The ids of events keep their sequence, or get a random one.
func (s story) renamed(random *rand.Rand, shuffle bool) *strings.Replacer {
	word := s.word + "x" + letters(random)
	var pairs []string
	for _, id := range s.ids {
		if shuffle {
			pairs = append(pairs, `"`+id+`"`, `"evt_`+letters(random)+strings.Replace(id[len("evt"):], s.word, word, 1)+`"`)
		}
	}
	return strings.NewReplacer(append(pairs, s.word, word)...)
}

func letters(random *rand.Rand) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	name := make([]byte, 8)
	for i := range name {
		name[i] = alphabet[random.IntN(len(alphabet))]
	}
	return string(name)
}

// sequences returns all permutations of n numbers, or maxOrders different ones.
func sequences(n int, random *rand.Rand) [][]int {
	written := make([]int, n)
	for i := range written {
		written[i] = i
	}
	reversed := slices.Clone(written)
	slices.Reverse(reversed)
	all, seen := [][]int{}, map[string]bool{}
	add := func(sequence []int) {
		if key := fmt.Sprint(sequence); !seen[key] {
			seen[key] = true
			all = append(all, sequence)
		}
	}
	add(written)
	add(reversed)
	for len(all) < min(maxOrders, factorial(n)) {
		add(random.Perm(n))
	}
	return all
}

func factorial(n int) int {
	product := 1
	for i := 2; i <= n; i++ {
		product *= i
	}
	return product
}

// bodies returns the events in this order.
func (o order) bodies() [][]byte {
	var all [][]byte
	for _, i := range o.sequence {
		all = append(all, o.renamedBytes(o.events[i]))
	}
	return all
}

func (o order) renamedBytes(raw []byte) []byte { return []byte(o.rename.Replace(string(raw))) }

func (o order) expected(t *testing.T) expected {
	t.Helper()
	e := decode(t, o.renamedBytes(o.want))
	if !slices.IsSorted(o.sequence) {
		e.SomeMessage = nil
	}
	return e
}

// String gives the numbers of the files.
func (o order) String() string {
	var numbers []string
	for _, i := range o.sequence {
		numbers = append(numbers, fmt.Sprintf("%02d", i+1))
	}
	return strings.Join(numbers, " ")
}

// check compares the content with what the story expects in each of its orders. It prints the
// faults of the first few orders.
func check(t *testing.T, c content, orders []order) {
	t.Helper()
	const most = 3
	wrong := 0
	for _, o := range orders {
		faults := o.expected(t).faults(c)
		if len(faults) == 0 {
			continue
		}
		if wrong++; wrong <= most {
			t.Errorf("order %s, as %s:\n  %s", o, o.rename.Replace(o.word), strings.Join(faults, "\n  "))
		}
	}
	orders[0].expected(t).checkPages(t)
	if wrong > 0 {
		t.Errorf("wrong in %d of %d orders", wrong, len(orders))
	}
}
