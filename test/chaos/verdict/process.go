package verdict

import (
	"strings"
	"time"
)

const (
	// moreGoroutines is how many more a process may have than before: connections that an
	// HTTP client or a database driver keeps for a while, two goroutines each.
	moreGoroutines = 25
	// A process may need twice the memory that it needed before, and moreMemory. Go lets the
	// heap grow to twice what is in use, and returns what a backlog needed to the system
	// slowly. The subscriber's caches, which have a limit, fill during the run: 50,000 entries
	// of some hundred bytes. What is never freed is found if it is two kilobytes per event in
	// a run of 50,000.
	timesMemory = 2
	moreMemory  = 64 << 20
	// theEnd is the time at the end whose lowest values count.
	theEnd = 5 * time.Second
)

// need is what a process needs.
type need struct {
	rss        int64
	goroutines int
}

// judgeProcesses compares the last samples with those before the first fault: the lowest of
// each process with the highest of all processes of its kind.
func (j *judgment) judgeProcesses() {
	normal, end := j.needs()
	known := map[string]bool{}
	for _, s := range j.run.Samples {
		known[s.Process] = true
	}
	for _, process := range sortedKeys(known) {
		before, ok := normal[kindOf(process)]
		after, lasts := end[process]
		switch {
		case !lasts:
			j.find(Memory, process, "there is no sample of it at the end")
			continue
		case !ok:
			j.find(Memory, process, "there is no sample of such a process before the first fault")
			continue
		case after.rss > timesMemory*before.rss+moreMemory:
			j.find(Memory, process, "it has %d MB, and had at most %d MB before the first fault", after.rss>>20, before.rss>>20)
		}
		if after.goroutines > before.goroutines+moreGoroutines {
			j.find(Goroutines, process, "it has %d, and had at most %d before the first fault", after.goroutines, before.goroutines)
		}
	}
}

// needs returns the highest before the first fault, by kind, and the lowest at the end, by
// process.
func (j *judgment) needs() (normal, end map[string]need) {
	normal, end = map[string]need{}, map[string]need{}
	var first, last time.Time
	for _, s := range j.run.Samples {
		if first.IsZero() || s.At.Before(first) {
			first = s.At
		}
		if s.At.After(last) {
			last = s.At
		}
	}
	disturbed := j.run.Disturbed
	if disturbed.IsZero() {
		disturbed = first.Add(last.Sub(first) / 10)
	}
	for _, s := range j.run.Samples {
		if kind := kindOf(s.Process); !s.At.After(disturbed) {
			n := normal[kind]
			normal[kind] = need{max(n.rss, s.RSS), max(n.goroutines, s.Goroutines)}
		}
		if n, ok := end[s.Process]; s.At.After(last.Add(-theEnd)) {
			if !ok {
				n = need{s.RSS, s.Goroutines}
			}
			end[s.Process] = need{min(n.rss, s.RSS), min(n.goroutines, s.Goroutines)}
		}
	}
	return normal, end
}

func kindOf(process string) string { return strings.TrimRight(process, "-.0123456789") }
