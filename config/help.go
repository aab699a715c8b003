package config

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"
)

// help returns what --help prints. It shows defaults and never values: those may be secret.
func help(p program) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n\nUsage:\n", p.name, p.purpose)
	columns(&b, func(row func(...string)) {
		for _, c := range p.commands {
			row(c.usage, c.meaning)
		}
		row(p.name+" --help", "print this text")
		row(p.name+" --version", "print version, commit and Go version")
	})
	writeOptions(&b, p)
	b.WriteString("\nSettings, as a flag or in the environment (the flag wins, an empty variable counts as unset):\n")
	columns(&b, func(row func(...string)) {
		row("FLAG", "VARIABLE", "DEFAULT", "MEANING")
		for _, s := range p.settings() {
			row("--"+s.flag(), s.env, s.shownDefault(), s.meaning)
		}
	})
	b.WriteString("\nDurations are written like 90s, 5m, 72h or 34d. Other users of the machine can read flags:\n" +
		"give secrets in the environment or in a file.\n" +
		"\nExit status: 0 clean stop or success; 1 the operation failed; 2 wrong usage or configuration.\n")
	return b.String()
}

// writeOptions lists the options of each command that needs more than a word of explanation.
func writeOptions(b *strings.Builder, p program) {
	for _, c := range p.commands {
		if !strings.Contains(c.usage, "[options]") {
			continue
		}
		fmt.Fprintf(b, "\nOptions of %s, as a flag only:\n", strings.TrimSpace(p.name+" "+c.name))
		columns(b, func(row func(...string)) {
			for _, o := range p.options {
				if o.in&c.in != 0 {
					row("  --"+strings.TrimSpace(o.name+" "+o.value), o.meaning)
				}
			}
		})
	}
}

// columns writes rows under each other with their cells aligned.
func columns(b *strings.Builder, fill func(row func(...string))) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	// A strings.Builder takes everything, so nothing can fail.
	fill(func(cells ...string) { _, _ = fmt.Fprintf(w, "  %s\n", strings.Join(cells, "\t")) })
	_ = w.Flush()
}

// Version returns what --version prints: the program's version, commit and Go version.
func Version(program string) string {
	version, commit := "(devel)", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = cmp.Or(info.Main.Version, version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	return fmt.Sprintf("%s %s (commit %s, %s)", program, version, commit, runtime.Version())
}
