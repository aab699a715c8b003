package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/billbus/billbus/config"
)

// usageFaults reports everything that is wrong with the command line, and whether it names a command
// that does not exist. It quotes only what looks like the name of a flag or a command: any other word
// may be the value of a misspelt flag, and a secret.
func (p *program) usageFaults(cmd *cobra.Command, words []string, err error) (faults []string, unknownCommand bool) {
	if err != nil {
		faults = append(faults, parseFault(err))
	}
	for _, word := range words {
		switch {
		case strings.HasPrefix(word, "--"):
			faults = append(faults, unknownFlag(cmd, word))
		case cmd.HasSubCommands() && p.follows(cmd, word) && likeName(word):
			faults, unknownCommand = append(faults, unknown("command", word, cmd)), true
		default:
			faults = append(faults, "an argument that is neither a command nor a flag; flags are written --name=value")
		}
	}
	for _, s := range settings(p.def) {
		flag := cmd.Flags().Lookup(s.Name())
		if flag != nil && flag.Hidden && flag.Changed {
			faults = append(faults, fmt.Sprintf("%s: not taken by %q", s.Label(), p.pathOf(cmd)))
		}
	}
	return faults, unknownCommand
}

// pathOf names a command also if it runs because none is named.
func (p *program) pathOf(cmd *cobra.Command) string {
	if cmd == p.root && p.hasDefault() {
		return cmd.Name() + " " + p.def.Commands[0].Name
	}
	return cmd.CommandPath()
}

// follows reports whether a word directly follows the name of a command.
func (p *program) follows(cmd *cobra.Command, word string) bool {
	depth := strings.Count(cmd.CommandPath(), " ")
	return len(p.args) > depth && p.args[depth] == word
}

func likeName(word string) bool { return regexp.MustCompile(`^[a-z][a-z-]{0,19}$`).MatchString(word) }

// unknown is the fault of a word that is not one of the parents' commands.
func unknown(what, word string, parents ...*cobra.Command) string {
	if !likeName(word) {
		return "unknown " + what
	}
	var names, similar []string
	for _, parent := range parents {
		similar = append(similar, parent.SuggestionsFor(word)...)
		for _, sub := range parent.Commands() {
			names = append(names, sub.Name())
		}
	}
	if len(similar) > 0 {
		return fmt.Sprintf("unknown %s %q: did you mean %s?", what, word, strings.Join(similar, " or "))
	}
	return fmt.Sprintf("unknown %s %q: there is %s", what, word, strings.Join(names, ", "))
}

// parseFault describes an error of pflag without the value in it.
func parseFault(err error) string {
	var (
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &missing):
		return fmt.Sprintf("--%s: needs a value", missing.GetFlag().Name)
	case errors.As(err, &invalid):
		return fmt.Sprintf("--%s: takes no value", invalid.GetFlag().Name)
	default:
		return "an argument that is not a flag: flags are written --name=value"
	}
}

func unknownFlag(cmd *cobra.Command, word string) string {
	name, _, _ := strings.Cut(word, "=")
	if !regexp.MustCompile(`^--[a-z][a-z0-9-]{0,60}$`).MatchString(name) {
		return "unknown flag"
	}
	if similar := similarFlags(cmd, name); len(similar) > 0 {
		return fmt.Sprintf("%s: unknown flag, did you mean %s?", name, strings.Join(similar, " or "))
	}
	return name + ": unknown flag"
}

// similarFlags has cobra compare the flags as it compares commands.
func similarFlags(cmd *cobra.Command, name string) []string {
	flags := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			flags.AddCommand(&cobra.Command{Use: "--" + f.Name, Run: func(*cobra.Command, []string) {}})
		}
	})
	return flags.SuggestionsFor(name)
}

// help is the command that explains commands and topics.
func (p *program) help() Command {
	name := p.def.Name
	return Command{
		Name: "help", Short: "Explain a command or a topic",
		Examples: []Example{
			{"Explain a command", name + " help completion"},
			{"List all settings with their variables, flags and defaults", name + " help settings"},
		},
		Commands: []Command{
			{Name: "settings", Short: "All settings, and how they are written", text: p.settingsText},
			{Name: "exit-codes", Short: "What the exit status means", text: exitCodes},
		},
		words: p.explain,
	}
}

// explain prints the help of the command that the words name.
func (p *program) explain(help *cobra.Command, words []string) error {
	target := p.root
	for _, word := range words {
		next, rest, err := target.Find([]string{word})
		if err != nil || len(rest) > 0 {
			return &config.Faults{Program: help.CommandPath(), Lines: []string{unknown("command or topic", word, target, help)}}
		}
		target = next
	}
	target.InitDefaultHelpFlag()
	return target.Help()
}

// completeHelp lists the commands in the one that the words name.
func (p *program) completeHelp(_ *cobra.Command, words []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
	if parent, rest, err := p.root.Find(words); err == nil && len(rest) == 0 {
		for _, sub := range parent.Commands() {
			if !sub.Hidden {
				names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
