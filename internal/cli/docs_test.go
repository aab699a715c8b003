package cli_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/cli"
)

// documented is what docs/operating.md says about a setting.
type documented struct{ Commands, Default string }

// TestOperatingPageListsTheSettings compares the section of every program with its settings: nothing
// is missing, nothing else is there, and the defaults and commands are right.
func TestOperatingPageListsTheSettings(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	page := map[string]map[string]documented{}
	for _, name := range []string{"bridge", "subscriber", "standalone", "stripesim"} {
		_, rest, _ := strings.Cut(string(text), "\n## "+name+"\n")
		section, _, _ := strings.Cut(rest, "\n## ")
		page[name] = inSection(t, section, page)
		if diff := cmp.Diff(table(programs()[name]), page[name]); diff != "" {
			t.Errorf("%s: settings (-program +page):\n%s", name, diff)
		}
	}
}

// table returns what the page should say.
func table(c cli.Command) map[string]documented {
	all := map[string]documented{}
	add := func(command string, settings config.Settings) {
		for _, s := range settings {
			before, ok := all[s.Env]
			switch {
			case s.Env == "":
			case ok:
				all[s.Env] = documented{before.Commands + ", " + command, before.Default}
			default:
				all[s.Env] = documented{command, defaultOf(s)}
			}
		}
	}
	add("", c.Settings)
	for _, sub := range c.Commands {
		add(sub.Name, taken(sub))
	}
	return all
}

// taken returns the settings of a command and the commands in it, each once.
func taken(c cli.Command) config.Settings {
	all := slices.Clone(c.Settings)
	for _, sub := range c.Commands {
		for _, s := range taken(sub) {
			if !slices.ContainsFunc(all, func(other config.Setting) bool { return other.Env == s.Env }) {
				all = append(all, s)
			}
		}
	}
	return all
}

func defaultOf(s config.Setting) string {
	switch {
	case s.Required != "":
		return "required"
	case s.Default != "":
		return "`" + s.Default + "`"
	case s.Shown != "":
		return s.Shown
	}
	return "none"
}

// inSection reads the rows of a table, and the lists of settings that are as in an earlier section.
func inSection(t *testing.T, section string, earlier map[string]map[string]documented) map[string]documented {
	t.Helper()
	variable := regexp.MustCompile("`([A-Z][A-Z_]+)`")
	all := map[string]documented{}
	for line := range strings.Lines(section) {
		var names []string
		cells := strings.Split(line, " | ")
		same, list, ok := strings.Cut(strings.TrimPrefix(line, "Same settings and defaults as for "), ": ")
		switch {
		case strings.HasPrefix(line, "| `"):
			names = variable.FindAllString(cells[0], -1)
		case ok && earlier[same] != nil:
			names = variable.FindAllString(list, -1)
		}
		for _, name := range names {
			name = strings.Trim(name, "`")
			if _, twice := all[name]; twice {
				t.Errorf("%s is there twice", name)
			}
			switch {
			case earlier[same] != nil:
				all[name] = documented{"", earlier[same][name].Default}
			case len(cells) == 4:
				all[name] = documented{cells[1], cells[2]}
			default:
				all[name] = documented{"", cells[1]}
			}
		}
	}
	if len(slices.Collect(maps.Keys(all))) == 0 {
		t.Error("found no settings")
	}
	return all
}
