package chaos

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/test/kit/deploy"
)

func shapes() map[string]shape {
	return map[string]shape{
		"one server":    {bridges: 2, subscribers: 2, servers: 1, database: embedded, databaseLink: true},
		"in memory":     {bridges: 2, subscribers: 2, servers: 1, database: memory, databaseLink: true},
		"three servers": {bridges: 2, subscribers: 2, servers: 3, database: embedded, databaseLink: true},
		"a replica set": {bridges: 1, subscribers: 1, servers: 1, database: mongoDB},
	}
}

func TestPlanIsAFunctionOfTheSeed(t *testing.T) {
	t.Parallel()
	for name, s := range shapes() {
		first := plan(7, time.Minute, kinds(s), s)
		if diff := cmp.Diff(first, plan(7, time.Minute, kinds(s), s)); diff != "" {
			t.Errorf("%s: the same seed: %s", name, diff)
		}
		if cmp.Equal(first, plan(8, time.Minute, kinds(s), s)) {
			t.Errorf("%s: two seeds make one plan", name)
		}
	}
}

// TestPlanIsDense checks that there are enough faults, that some overlap, and that none
// touches what another is at.
func TestPlanIsDense(t *testing.T) {
	t.Parallel()
	for name, s := range shapes() {
		for seed := range uint64(50) {
			short, long := plan(seed, time.Minute, kinds(s), s), plan(seed, 10*time.Minute, kinds(s), s)
			if len(short) < 6 || len(long) < 40 {
				t.Errorf("%s, seed %d: got %d faults in a minute, %d in ten", name, seed, len(short), len(long))
			}
			overlapping := 0
			for i, f := range long {
				if f.At < lead || f.At+f.Length > 10*time.Minute {
					t.Errorf("%s, seed %d: %v is outside of the run", name, seed, f)
				}
				for _, other := range long[:i] {
					if other.At+other.Length <= f.At {
						continue
					}
					overlapping++
					if clash(s, f, other) {
						t.Errorf("%s, seed %d: %v and %v touch the same", name, seed, f, other)
					}
				}
			}
			if overlapping < 5 {
				t.Errorf("%s, seed %d: %d pairs overlap", name, seed, overlapping)
			}
		}
	}
}

func clash(s shape, a, b Fault) bool {
	touched := kindOf(s, a).touches(s, a.Target)
	return slices.ContainsFunc(kindOf(s, b).touches(s, b.Target), func(name string) bool { return slices.Contains(touched, name) })
}

func kindOf(s shape, f Fault) kind {
	all := kinds(s)
	return all[slices.IndexFunc(all, func(k kind) bool { return k.name == f.Kind })]
}

func TestEveryKindHasItsTurn(t *testing.T) {
	t.Parallel()
	for name, s := range shapes() {
		seen := map[string]bool{}
		for _, f := range plan(1, 10*time.Minute, kinds(s), s) {
			seen[f.Kind] = true
		}
		for _, k := range kinds(s) {
			if !seen[k.name] {
				t.Errorf("%s: no %s in ten minutes", name, k.name)
			}
			if k.do == nil {
				t.Errorf("%s does nothing", k.name)
			}
		}
	}
}

// What the database in memory has would be gone.
func TestNothingStopsTheDatabaseInMemory(t *testing.T) {
	t.Parallel()
	s, seen := shapes()["in memory"], map[string]bool{}
	for seed := range uint64(20) {
		for _, f := range plan(seed, 10*time.Minute, kinds(s), s) {
			if f.Target == deploy.DatabaseName {
				seen[f.Kind] = true
			}
			if f.Kind == "delay" && strings.HasSuffix(f.Target, "-database") {
				seen["delay on the way"] = true
			}
		}
	}
	if diff := cmp.Diff(map[string]bool{"freeze": true, "delay on the way": true}, seen); diff != "" {
		t.Error(diff)
	}
	if slices.Contains(s.lasting(), deploy.DatabaseName) || len(s.lasting()) != len(s.processes())-1 {
		t.Errorf("a rolling restart is of %q", s.lasting())
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for args, complaint := range map[string]string{
		"--faults kill,none":            `there is no "none"`,
		"--faults node-killed":          `there is no "node-killed"`,
		"--servers 2":                   "must be 1 or 3",
		"--db sqlite":                   "must be embedded, memory or mongodb",
		"--db embedded --subscribers 2": "allows one writer",
		"--db memory --subscribers 3":   "",
		"--duration 1s":                 "at least 10s",
		"--bridges 0":                   "must be above 0",
		"--replay /no/such/folder":      "no such file",
		"more":                          `unexpected "more"`,
		"--unknown":                     "not defined",
		"--servers 3 --faults node-cut": "",
		"--events 50 --seed 3":          "",
	} {
		var stderr strings.Builder
		if _, err := Parse(strings.Fields(args), &stderr); (err != nil) != (complaint != "") || !strings.Contains(stderr.String(), complaint) {
			t.Errorf("%s: got %v, %q, want %q", args, err, stderr.String(), complaint)
		}
	}
}

// TestReplay checks that a run can be repeated from its folder, and by the command that it
// prints.
func TestReplay(t *testing.T) {
	t.Parallel()
	parse := func(args ...string) Config {
		cfg, err := Parse(args, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		cfg.kinds = nil
		return cfg
	}
	want := parse("--seed", "-5", "--duration", "20s", "--rate", "3", "--bridges", "1", "--servers", "3", "--db", "memory", "--faults", "kill,node-cut", "--dir", t.TempDir())
	dir, err := workDir(want)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := workDir(want); err == nil || !strings.Contains(err.Error(), "--replay") {
		t.Errorf("two runs get one folder, or it is not said what to do: %v", err)
	}
	want.Dir = ""
	if diff := cmp.Diff(want, parse("--replay", dir), cmp.AllowUnexported(Config{})); diff != "" {
		t.Errorf("from the folder: %s", diff)
	}
	if diff := cmp.Diff(want, parse(strings.Fields(want.Command())[3:]...), cmp.AllowUnexported(Config{})); diff != "" {
		t.Errorf("by the command: %s", diff)
	}
}
