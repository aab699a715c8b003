package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// reader holds every setting of one start as text, and collects what is wrong with them.
type reader struct {
	program  program
	command  string            // "" where the arguments name one that does not exist
	options  map[string]string // given ones, by flag; a switch is "true"
	text     map[string]string // by variable; defaults included
	given    map[string]bool   // what stands in a flag or in the environment
	faults   []string
	warnings []string
}

// read takes in arguments and environment. Its only error is a *Help; faults are kept for err.
func read(p program, args []string, getenv func(string) string) (*reader, error) {
	r := &reader{program: p, options: map[string]string{}, text: map[string]string{}, given: map[string]bool{}}
	flags := flagSet(p)
	err := flags.Parse(doubleDashes(args))
	if told(flags, "help") || flags.Arg(0) == "help" {
		return nil, &Help{Text: help(p)}
	}
	if told(flags, "version") {
		return nil, &Help{Text: Version(p.name) + "\n"}
	}
	if err != nil {
		r.complain("%s", usageFault(p, err))
	}
	command := r.arguments(args, flags.Args())
	r.takeOptions(command, flags)
	r.settings(command, flags, getenv)
	return r, nil
}

// flagSet declares every flag as text, so that parsing stops at no value and quotes none.
func flagSet(p program) *pflag.FlagSet {
	flags := pflag.NewFlagSet(p.name, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	// Unknown flags come back among the arguments: all of them can be named at once.
	flags.ParseErrorsAllowlist.UnknownFlagsHandling = pflag.PassUnknownFlagToArgs
	flags.BoolP("help", "h", false, "")
	flags.Bool("version", false, "")
	for _, o := range p.options {
		switch {
		case flags.Lookup(o.name) != nil: // another command has it, too
		case o.value == "":
			flags.Bool(o.name, false, "")
		default:
			flags.String(o.name, "", "")
		}
	}
	for _, s := range p.settings() {
		if flags.Lookup(s.flag()) == nil {
			flags.String(s.flag(), "", "")
		}
	}
	return flags
}

// doubleDashes turns -log-level into --log-level, as programs with Go's own flags and nats-server
// take it. Left alone, its letters would be read as flags of one letter, and the h in it as help.
func doubleDashes(args []string) []string {
	args = slices.Clone(args)
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

// told says whether a flag without a value was given.
func told(flags *pflag.FlagSet, name string) bool {
	on, err := flags.GetBool(name)
	return err == nil && on
}

// usageFault says what stopped the parsing, without the value that did.
func usageFault(p program, err error) string {
	var (
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &missing) && p.hasOption(missing.GetFlag().Name):
		return fmt.Sprintf("--%s: needs a value", missing.GetFlag().Name)
	case errors.As(err, &missing):
		return fmt.Sprintf("%s: --%s needs a value", variable(missing.GetFlag().Name), missing.GetFlag().Name)
	case errors.As(err, &invalid):
		return fmt.Sprintf("--%s: takes no value", invalid.GetFlag().Name)
	default:
		return "an argument that is no flag: flags are written --name=value"
	}
}

// variable returns the environment variable of a flag.
func variable(flag string) string {
	return strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// arguments finds the command among what is no known flag, and complains about the rest. Only the
// very first argument is quoted: a later one may be the value of a misspelt flag, and a secret.
func (r *reader) arguments(args, rest []string) command {
	meant, named := r.program.commands[0], false
	for _, word := range rest {
		c, known := r.program.find(word)
		switch {
		case strings.HasPrefix(word, "--"):
			r.unknownFlag(word)
		case known && !named:
			meant, named = c, true
		case word == args[0] && r.program.names() != "" && matches(`[a-z-]{1,20}`, word):
			r.complain("unknown command %q: there is %s", word, r.program.names())
			meant, named = command{}, true
		default:
			r.complain("an argument that is neither a command nor a flag")
		}
	}
	r.command = meant.name
	return meant
}

func (r *reader) unknownFlag(word string) {
	name, _, _ := strings.Cut(word, "=")
	if !matches(`--[a-z][a-z0-9-]{0,60}`, name) {
		name = "an argument"
	}
	r.complain("%s: unknown flag", name)
}

// takeOptions notes which options were given, and complains about those of another command.
func (r *reader) takeOptions(c command, flags *pflag.FlagSet) {
	for _, o := range r.program.options {
		flag := flags.Lookup(o.name)
		value := flag.Value.String()
		switch {
		case !flag.Changed || o.value == "" && value != "true":
		case c.in != 0 && r.program.optionScope(o.name)&c.in == 0:
			r.complain("--%s: not a flag of %q", o.name, r.program.name+" "+c.name)
		case o.value != "" && (value == "" || strings.HasPrefix(value, "--")): // it took the next flag for its value
			r.complain("--%s: needs a value", o.name)
		default:
			r.options[o.name] = value
		}
	}
}

// settings fills in the text of every setting that the command has.
func (r *reader) settings(c command, flags *pflag.FlagSet, getenv func(string) string) {
	for _, s := range r.program.settings() {
		flag := flags.Lookup(s.flag())
		if c.in != 0 && s.in&c.in == 0 {
			if flag.Changed {
				r.fault(s.env, "not a setting of %q", r.program.name+" "+c.name)
			}
			continue
		}
		r.text[s.env] = s.value
		if value := getenv(s.env); value != "" {
			r.text[s.env], r.given[s.env] = value, true
		}
		if flag.Changed {
			r.text[s.env], r.given[s.env] = flag.Value.String(), true
			r.swallowed(s)
		}
	}
}

// swallowed complains where a flag took the next flag for its value.
func (r *reader) swallowed(s setting) {
	if strings.HasPrefix(r.text[s.env], "--") {
		r.fault(s.env, "--%s needs a value (one that starts with dashes is given in the environment)", s.flag())
		r.text[s.env] = s.value
	}
}

// fault notes what is wrong with a setting.
func (r *reader) fault(env, format string, args ...any) {
	r.complain("%s: %s", env, fmt.Sprintf(format, args...))
}

func (r *reader) complain(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// err returns all faults as one error.
func (r *reader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	return &Faults{Program: r.program.name, Lines: r.faults}
}

// content returns the value of a setting that may also stand in a file, and the name of the setting
// that it came from. Faults name neither the file nor what is in it: a secret is easily put where
// the name of its file belongs.
func (r *reader) content(env string) (text, source string) {
	file := env + "_FILE"
	path := r.text[file]
	if path == "" {
		return r.text[env], env
	}
	if r.given[env] && r.text[env] != "" {
		r.fault(env, "set together with %s: set one of the two", file)
		return "", file
	}
	data, err := os.ReadFile(path)
	if err != nil {
		r.fault(file, "cannot be read: %v", cause(err))
		return "", file
	}
	if text = strings.TrimRight(string(data), "\r\n"); text == "" {
		r.fault(file, "the file is empty")
	}
	return text, file
}

// cause strips an error of the path in it.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
