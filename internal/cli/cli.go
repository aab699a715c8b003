// Package cli is the command line of the programs: their commands with help, examples and shell
// completion, and what is reported when they are misused.
//
// It builds cobra commands from definitions. Every flag is declared as text and converted by package
// config: cobra's own errors stop at the first fault, and quote values that may be secrets.
package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/billbus/billbus/config"
)

// Run is the code of a command. Its settings are loaded when it is called.
type Run func(ctx context.Context) error

// Command defines a command. One without Run is a group of the Commands in it. A program is the
// command at the root; if it has no Run, it runs the first of its Commands.
type Command struct {
	Name     string    // "check", of "bridge endpoint check"
	Short    string    // one line, in the list of commands
	Long     string    // a paragraph after it in the command's own help, or ""
	Examples []Example // two; if there are none, help shows the first ones of the first two Commands
	Settings config.Settings
	Run      Run
	Commands []Command

	text  func() string                               // of a help topic, which prints it and nothing else
	words func(cmd *cobra.Command, ws []string) error // runs a command that takes arguments
}

// Example is a command line, and what it is for.
type Example struct{ Why, Line string }

// Execute runs the command of a program that the arguments name. Help, version and completion are
// written to stdout. Wrong usage and configuration are a [*config.Faults].
func Execute(ctx context.Context, def Command, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	p := &program{def: def, getenv: getenv, args: doubleDashes(args)}
	if def.Run == nil {
		first := def.Commands[0]
		p.def.Settings, p.def.Run = first.Settings, first.Run
	}
	p.def.Commands = append(slices.Clone(def.Commands), p.completion())
	p.root = p.build(p.def)
	help := p.build(p.help())
	help.ValidArgsFunction = p.completeHelp
	p.root.SetHelpCommand(help)
	p.root.SilenceErrors, p.root.SilenceUsage = true, true
	p.root.CompletionOptions.DisableDefaultCmd = true
	p.root.SetArgs(p.args)
	p.root.SetOut(stdout)
	p.root.SetErr(stderr)
	return cmp.Or(p.root.ExecuteContext(ctx), p.printed)
}

// program is one execution of a program.
type program struct {
	def     Command
	root    *cobra.Command
	args    []string
	getenv  func(string) string
	printed error // of printing help, which cobra's help functions cannot return
}

// hasDefault reports whether the program runs the first of its commands if none is named. The last
// one is completion, which every program has.
func (p *program) hasDefault() bool { return len(p.def.Commands) > 1 }

// settings returns all settings of a command and the commands in it, each once.
func settings(c Command) config.Settings {
	all := slices.Clone(c.Settings)
	for _, sub := range c.Commands {
		for _, s := range settings(sub) {
			if !slices.ContainsFunc(all, func(other config.Setting) bool { return other.Name() == s.Name() }) {
				all = append(all, s)
			}
		}
	}
	return all
}

func (p *program) build(c Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: c.Name, Short: c.Short, Args: cobra.ArbitraryArgs, ValidArgsFunction: cobra.NoFileCompletions,
		SuggestionsMinimumDistance: 2,
		// Unknown flags come back among the arguments, so all of them can be reported.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlagsHandling: pflag.PassUnknownFlagToArgs},
		RunE:               func(cmd *cobra.Command, words []string) error { return p.start(cmd, c, words, nil) },
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return p.start(cmd, c, cmd.Flags().Args(), err) })
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		_, p.printed = io.WriteString(cmd.OutOrStdout(), p.helpText(c, cmd.CommandPath()))
	})
	cmd.InitDefaultHelpFlag() // cobra does it later, and takes a command after --help for its value
	cmd.Flags().Bool("version", false, "print version, commit and Go version")
	for _, s := range c.Settings {
		declare(cmd, s)
	}
	p.declareOthers(cmd)
	for _, sub := range c.Commands {
		cmd.AddCommand(p.build(sub))
	}
	return cmd
}

// declareOthers declares the flags of the program's other commands as hidden. Then cobra finds a command
// after its flags, and a flag of another command can be reported as such.
func (p *program) declareOthers(cmd *cobra.Command) {
	for _, s := range settings(p.def) {
		if !s.Argument && cmd.Flags().Lookup(s.Name()) == nil {
			declare(cmd, s)
			cmd.Flags().Lookup(s.Name()).Hidden = true
		}
	}
}

func declare(cmd *cobra.Command, s config.Setting) {
	if s.Argument {
		return
	}
	if s.Repeated {
		cmd.Flags().Var(new(repeated), s.Name(), s.Meaning)
	} else {
		cmd.Flags().String(s.Name(), "", s.Meaning)
	}
	cmd.Flags().Lookup(s.Name()).NoOptDefVal = s.NoValue
	complete := cobra.NoFileCompletions
	switch {
	case s.Words != nil:
		complete = cobra.FixedCompletions(s.Words, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder)
	case s.Value == "FILE" || s.Value == "DIR":
		complete = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	}
	_ = cmd.RegisterFlagCompletionFunc(s.Name(), complete) // fails only for a flag that does not exist
}

// repeated is the value of a flag that may be given several times: all values, separated by
// commas.
type repeated string

func (r *repeated) String() string { return string(*r) }
func (r *repeated) Type() string   { return "string" }
func (r *repeated) Set(value string) error {
	if *r != "" {
		value = string(*r) + "," + value
	}
	*r = repeated(value)
	return nil
}

// start runs a command, if nothing is wrong. The words are the arguments that are not known flags,
// and err is what stopped the parsing of the flags.
func (p *program) start(cmd *cobra.Command, c Command, words []string, err error) error {
	switch {
	case isSet(cmd, "help"), c.text != nil, c.Run == nil && c.words == nil && len(words) == 0 && err == nil:
		return cmd.Help()
	case isSet(cmd, "version"):
		_, err := fmt.Fprintln(cmd.OutOrStdout(), Version(p.def.Name))
		return err
	case c.words != nil:
		return c.words(cmd, words)
	}
	given := map[string]string{}
	if name, ok := argument(c); ok && len(words) > 0 {
		var value string
		if words, value = splitFlags(words); value != "" {
			given[name] = value
		}
	}
	faults, unknownCommand := p.usageFaults(cmd, words, err)
	if unknownCommand {
		c.Settings = nil // it is not known which settings are meant
	}
	cmd.Flags().Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
	if err := c.Settings.Load(cmd.CommandPath(), given, p.getenv, faults...); err != nil {
		return err
	}
	return c.Run(cmd.Context())
}

// argument returns the name of the setting that takes the words of a command line that are
// not flags.
func argument(c Command) (name string, ok bool) {
	i := slices.IndexFunc(c.Settings, func(s config.Setting) bool { return s.Argument })
	if i < 0 {
		return "", false
	}
	return c.Settings[i].Name(), true
}

// splitFlags separates flags that are not known from the other words.
func splitFlags(words []string) (flags []string, others string) {
	var rest []string
	for _, word := range words {
		if strings.HasPrefix(word, "--") {
			flags = append(flags, word)
		} else {
			rest = append(rest, word)
		}
	}
	return flags, strings.Join(rest, " ")
}

func isSet(cmd *cobra.Command, flag string) bool {
	on, err := cmd.Flags().GetBool(flag)
	return err == nil && on
}

// doubleDashes turns -log-level into --log-level, as programs with Go's own flags and nats-server
// accept it. Otherwise its letters would be read as flags of one letter, and the h as help.
func doubleDashes(args []string) []string {
	args = append([]string{}, args...)
	single := regexp.MustCompile(`^-[a-z][a-z-]`)
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if single.MatchString(arg) {
			args[i] = "-" + arg
		}
	}
	return args
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

// completion is the command that prints a shell's completion script.
func (p *program) completion() Command {
	name := p.def.Name
	shell := func(shell, load, install string, script func(io.Writer) error) Command {
		return Command{
			Name: shell, Short: "Print the completion script for " + shell,
			Examples: []Example{{"Load completion into the " + shell + " that is running", load}, {"Load completion in every new " + shell, install}},
			Run:      func(context.Context) error { return script(p.root.OutOrStdout()) },
		}
	}
	c := Command{Name: "completion", Short: "Print a script for shell completion", Commands: []Command{
		shell("bash", "source <("+name+" completion bash)", name+" completion bash > /etc/bash_completion.d/"+name,
			func(w io.Writer) error { return p.root.GenBashCompletionV2(w, true) }),
		shell("zsh", "source <("+name+" completion zsh)", name+" completion zsh > \"${fpath[1]}/_"+name+"\"",
			func(w io.Writer) error { return p.root.GenZshCompletion(w) }),
		shell("fish", name+" completion fish | source", name+" completion fish > ~/.config/fish/completions/"+name+".fish",
			func(w io.Writer) error { return p.root.GenFishCompletion(w, true) }),
	}}
	c.Commands[0].Long = "The script needs the package bash-completion."
	return c
}
