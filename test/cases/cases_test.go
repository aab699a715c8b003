package cases_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// separate are the stories that need settings, an API or a crash of their own. Each has a
// test in another file.
var separate = []string{
	"ignored-then-admitted", "killed-between", "organization-context",
	"twelve-items", "metadata-of-thirteen-items", "item-added-beyond-the-tenth", "read-before-nine-remained",
	"read-before-the-cancellation", "key-removed-after-twelve-items",
}

// TestStories sends all other stories through one standalone.
func TestStories(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	stories := map[string][]order{}
	var all []order
	for _, name := range storyNames(t) {
		if !slices.Contains(separate, name) {
			stories[name] = loadStory(t, name).orders(random)
			all = append(all, stories[name]...)
		}
	}
	a := startAlone(t, t.TempDir(), "WEBHOOK_LIVEMODE=any")
	a.sendAll(t, all)
	a.settle(t)
	c := a.content(t)
	for _, name := range slices.Sorted(maps.Keys(stories)) {
		t.Run(name, func(t *testing.T) {
			check(t, c, stories[name])
			a.checkTrail(t, stories[name])
		})
	}
	a.checkVerify(t, stories)
	t.Logf("%d stories in %d orders", len(stories), len(all))
}

// seeded returns a source of random numbers and logs how to repeat its results.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Int64N(1 << 32) //nolint:gosec // no secret
	}
	t.Logf("to repeat: go test ./test/cases -args -seed %d", seed)
	return rand.New(rand.NewPCG(uint64(seed), 0)) //nolint:gosec // no secret
}

func storyNames(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	for _, name := range separate {
		if !slices.Contains(names, name) {
			t.Errorf("there is no story %s", name)
		}
	}
	return names
}

// sendAll sends several orders at once, and the events of each one by one.
func (a *alone) sendAll(t *testing.T, orders []order) {
	t.Helper()
	next := make(chan order)
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for o := range next {
				for _, body := range o.bodies() {
					a.accept(t, body)
				}
			}
		})
	}
	for _, o := range orders {
		next <- o
	}
	close(next)
	work.Wait()
}

// checkTrail compares what the audit command prints in one order of the story.
func (a *alone) checkTrail(t *testing.T, orders []order) {
	t.Helper()
	for sub, want := range orders[len(orders)-1].expected(t).Trails {
		out, err := a.subscriber(t, "audit", "--subscription", sub, "--json")
		if err != nil {
			t.Errorf("audit: %v\n%s", err, out)
		}
		var got []string
		for text := range strings.Lines(out) {
			var line struct{ Kind, ID string }
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			if line.Kind == "event" {
				got = append(got, line.ID)
			}
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("audit --subscription %s: got %v, want %v", sub, got, want)
		}
	}
}

// checkVerify checks that no record differs from the audit trail, and that no event is
// reported missing: the stories have them all.
func (a *alone) checkVerify(t *testing.T, stories map[string][]order) {
	t.Helper()
	out, err := a.subscriber(t, "verify", "--json")
	if err != nil {
		t.Errorf("verify: %v", err)
	}
	for name, orders := range stories {
		word := "sub_" + orders[0].word + "x"
		for line := range strings.Lines(out) {
			if strings.Contains(line, word) {
				t.Errorf("verify, %s: %s", name, line)
				break
			}
		}
	}
	if lines := strings.Count(out, "\n"); lines != 1 {
		t.Errorf("verify printed %d lines, want the summary alone", lines)
	}
}
