package cli

import (
	"fmt"
	"strings"

	"github.com/billbus/billbus/config"
)

// width is how many columns help takes at most, except for a command line.
const width = 80

const flagOrVariable = " (a flag wins over its variable):\n"

// helpText returns what --help prints. It shows defaults and never values, which may be secret.
func (p *program) helpText(c Command, path string) string {
	if c.text != nil {
		return c.text()
	}
	var b strings.Builder
	paragraph(&b, strings.TrimSuffix(c.Short, ".")+".")
	paragraph(&b, c.Long)
	fmt.Fprintf(&b, "Usage:\n  %s%s\n\n", path, usage(c))
	b.WriteString("Examples:\n")
	for _, e := range examples(c) {
		fmt.Fprintf(&b, "  # %s\n  %s\n", e.Why, e.Line)
	}
	p.writeCommands(&b, c)
	p.writeSettings(&b, c)
	b.WriteString("\nOther flags:\n  -h, --help\n        print this text\n")
	if c.Name == p.def.Name {
		b.WriteString("  --version\n        print version, commit and Go version\n")
	}
	fmt.Fprintf(&b, "\nExit status: 0 success or clean stop, 1 failure, 2 wrong usage or settings.\n"+
		"More: %[1]s help settings, %[1]s help exit-codes.\n", p.def.Name)
	return b.String()
}

func examples(c Command) []Example {
	if c.Examples != nil {
		return c.Examples
	}
	return []Example{examples(c.Commands[0])[0], examples(c.Commands[1])[0]}
}

func usage(c Command) string {
	switch {
	case c.words != nil:
		return " [command or topic]"
	case len(c.Commands) > 0 && c.Run != nil:
		return " [command] [flags]"
	case len(c.Commands) > 0:
		return " <command> [flags]"
	}
	if name, ok := argument(c); ok {
		return " " + name + " [flags]"
	}
	return " [flags]"
}

func (p *program) writeCommands(b *strings.Builder, c Command) {
	commands := c.Commands
	switch {
	case c.words != nil:
		b.WriteString("\nTopics:\n")
	case len(commands) > 0:
		b.WriteString("\nCommands:\n")
	}
	if c.Name == p.def.Name {
		commands = append(commands, p.help())
	}
	for _, sub := range commands {
		fmt.Fprintf(b, "  %-12s %s\n", sub.Name, sub.Short)
	}
}

// writeSettings lists options and settings separately. At the root they are those of the first
// command, which runs if none is named.
func (p *program) writeSettings(b *strings.Builder, c Command) {
	of := ""
	if c.Name == p.def.Name && p.hasDefault() {
		of = " of " + p.def.Commands[0].Name + ", which runs by default"
	}
	writeRows(b, "\nOptions"+of+":\n", c.Settings, true)
	writeRows(b, "\nSettings"+of+flagOrVariable, c.Settings, false)
}

// writeRows lists either the options or the others, under a heading if there are any.
func writeRows(b *strings.Builder, heading string, all config.Settings, options bool) {
	for _, s := range all {
		if (s.Env == "") != options {
			continue
		}
		b.WriteString(heading)
		heading = ""
		head := "--" + s.Name()
		switch {
		case s.Argument:
			head = s.Name()
		case s.Env != "":
			head += ", " + s.Env
		case s.Value != "":
			head += " " + s.Value
		}
		meaning := s.Meaning
		if shown := s.DefaultText(); shown != "" {
			meaning += " (" + shown + ")"
		}
		fmt.Fprintf(b, "  %s\n%s", head, wrap(meaning, "        "))
	}
}

func paragraph(b *strings.Builder, text string) {
	if text != "" {
		b.WriteString(wrap(text, "") + "\n")
	}
}

// wrap breaks a text into lines that begin with an indent.
func wrap(text, indent string) string {
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len([]rune(line+word)) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	return b.String() + strings.TrimRight(line, " ") + "\n"
}

// settingsText is the help topic with all settings of the program.
func (p *program) settingsText() string {
	var b strings.Builder
	paragraph(&b, "Each setting is an environment variable and a flag. The flag wins. An empty variable counts as not set. "+
		"A command takes the settings that its own help lists; other variables are ignored.")
	paragraph(&b, "Durations are written like 90s, 5m, 72h or 34d, and lists are separated by commas. "+
		"Other users of the machine can read flags: set secrets in the environment, or in a file with the variable that ends in _FILE.")
	writeRows(&b, "Settings"+flagOrVariable, settings(p.def), false)
	return b.String()
}

// exitCodes is the help topic of the exit status.
func exitCodes() string {
	return `Exit status:
  0  The command succeeded, or the program got SIGINT or SIGTERM and stopped cleanly.
  1  The operation failed, or a command that compares or checks something found a
     difference. The last line on standard error says what it was.
  2  Wrong usage or configuration. All faults are listed on standard error, and
     nothing was connected to or changed. The same call fails again until they are
     corrected.
`
}
