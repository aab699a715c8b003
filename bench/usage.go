package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/billbus/billbus/bench/figures"
	"github.com/billbus/billbus/test/kit"
)

// clockTick is the unit of CPU times in /proc, which is the same on all of Linux.
const clockTick = 1.0 / 100

// meter reads what processes use while something is measured. Its keys name their parts in
// a table, such as "server".
type meter struct {
	t         *kit.Trial
	processes map[string]*kit.Process
	before    map[string]float64
}

// Parts of what is measured.
const (
	serverPart   = "server"
	secondPart   = "second server"
	natsPart     = "nats"
	databasePart = "database"
	postgresPart = "postgres"
)

// parts returns all parts in the order in which they are shown.
func parts() []string { return []string{serverPart, secondPart, natsPart, databasePart, postgresPart} }

func newMeter(t *kit.Trial, processes map[string]*kit.Process) *meter {
	m := &meter{t: t, processes: processes}
	m.before = m.seconds()
	return m
}

func (m *meter) seconds() map[string]float64 {
	used := map[string]float64{}
	for part, p := range m.processes {
		if p.Ended() {
			m.t.Fatalf("%s has ended; the end of its log: %s", p.Name, tail(p.Log))
		}
		used[part] = cpuSeconds(p.PID())
	}
	return used
}

// figures returns the CPU seconds for 1,000 events since the meter was made, and the most
// memory that each process has used since its start. The processes of a database have been
// used by other contestants before, so their memory says nothing.
func (m *meter) figures(events int) []figures.Figure {
	after := m.seconds()
	var list []figures.Figure
	for _, part := range parts() {
		if p, ok := m.processes[part]; ok {
			list = append(list, figures.Figure{Name: part + " cpu s/1000", Value: (after[part] - m.before[part]) / float64(events) * 1000})
			if part != databasePart && part != postgresPart {
				list = append(list, m.peak(part, p))
			}
		}
	}
	return list
}

func (m *meter) peak(part string, p *kit.Process) figures.Figure {
	kB, err := p.PeakMemory()
	if err != nil {
		m.t.Fatal(err)
	}
	return figures.Figure{Name: part + " peak MiB", Value: float64(kB) / 1024}
}

// cpuSeconds returns the CPU time of a process and of its children, those that have ended
// included.
func cpuSeconds(pid int) float64 {
	own, children := 0.0, 0.0
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, in parentheses, may contain spaces.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		ticks, _ := strconv.ParseFloat(field, 64)
		own += ticks * clockTick
	}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range lists {
		list, _ := os.ReadFile(path) //nolint:gosec // below /proc
		for child := range strings.FieldsSeq(string(list)) {
			id, _ := strconv.Atoi(child)
			children += cpuSeconds(id)
		}
	}
	return own + children
}

// tail returns the end of a log.
func tail(path string) string {
	text, _ := os.ReadFile(path) //nolint:gosec // a log of our own
	return string(text[max(len(text)-500, 0):])
}
