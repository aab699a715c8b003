package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Setting is one row of the table of settings: what help prints about it, and how its text becomes
// a field of the configuration.
type Setting struct {
	Env      string   // its variable; "" for an option, which applies to one call and is a flag only
	Flag     string   // its flag without dashes; if "", the variable in lower case with dashes
	Value    string   // what help calls the flag's value; FILE and DIR are completed as such
	NoValue  string   // what the flag means without a value; "" if it needs one
	Default  string   // "" if there is none
	Shown    string   // what happens without it, in words, if there is no default
	Required string   // what is missing if it is not set; "" if it may be absent
	Words    []string // all values that are accepted, if there are few; of a list, all entries
	Meaning  string
	// Argument is true if the setting is not a flag: its value are the words of the command
	// line that belong to no flag. Flag is then what they are called.
	Argument bool

	// Repeated is true if the flag may be given several times. Its value is then the
	// comma-separated list of all.
	Repeated bool

	convert func(value)   // stores the value in a field, and reports what is wrong with it
	check   func(*reader) // compares fields, once all are converted
}

// Name returns the setting's flag without dashes.
func (s Setting) Name() string {
	if s.Flag != "" {
		return s.Flag
	}
	return strings.ToLower(strings.ReplaceAll(s.Env, "_", "-"))
}

// Label is what faults call the setting: its variable, or the flag of an option.
func (s Setting) Label() string {
	switch {
	case s.Argument:
		return s.Flag
	case s.Env == "":
		return "--" + s.Flag
	}
	return s.Env
}

// DefaultText is what help shows in place of a value: the default, or that one is required. It is ""
// if there is nothing to say.
func (s Setting) DefaultText() string {
	switch {
	case s.Required != "":
		return "required"
	case s.Shown != "":
		return "default: " + s.Shown
	case s.Default != "":
		return "default " + s.Default
	}
	return ""
}

// Settings are the settings of one command. They are bound to the fields of a configuration.
type Settings []Setting

// Load reads the settings from the given flags, by name, and from the environment; a flag wins. It
// fills in the fields that the settings are bound to. The error is a [*Faults] with everything
// that is wrong, after the faults that the caller has found.
func (all Settings) Load(command string, flags map[string]string, getenv func(string) string, faults ...string) error {
	r := &reader{text: map[string]string{}, given: map[string]bool{}, faults: faults}
	for _, s := range all {
		r.read(s, flags, getenv)
	}
	for _, s := range all {
		r.convert(s)
	}
	for _, s := range all {
		if s.check != nil {
			s.check(r)
		}
	}
	if len(r.faults) == 0 {
		return nil
	}
	return &Faults{Program: command, Lines: r.faults}
}

// with returns the settings with one of them altered, for a command that differs in it.
func (all Settings) with(env string, alter func(*Setting)) Settings {
	all = slices.Clone(all)
	alter(&all[slices.IndexFunc(all, func(s Setting) bool { return s.Env == env })])
	return all
}

// reader holds every setting as text, by its label, and collects what is wrong.
type reader struct {
	text   map[string]string
	given  map[string]bool
	faults []string
}

// value is the text of one setting. Its name is what faults call it: of a value that is read from a
// file, the setting of the file.
type value struct {
	Setting
	*reader
	name, text string
}

func (v value) fault(format string, args ...any) { v.reader.fault(v.name, format, args...) }

func (r *reader) fault(name, format string, args ...any) {
	r.faults = append(r.faults, name+": "+fmt.Sprintf(format, args...))
}

func (r *reader) read(s Setting, flags map[string]string, getenv func(string) string) {
	name := s.Label()
	r.text[name] = s.Default
	if s.Env != "" && getenv(s.Env) != "" {
		r.text[name], r.given[name] = getenv(s.Env), true
	}
	text, ok := flags[s.Name()]
	switch {
	case !ok:
	case strings.HasPrefix(text, "--") && s.Env != "": // it took the next flag for its value
		r.fault(name, "--%s needs a value (set one that starts with dashes in the environment)", s.Name())
	case strings.HasPrefix(text, "--"), text == "" && s.Env == "":
		r.fault(name, "needs a value")
	default:
		r.text[name], r.given[name] = text, true
	}
}

// convert leaves a setting alone that is neither set nor has a default.
func (r *reader) convert(s Setting) {
	v := value{Setting: s, reader: r, name: s.Label(), text: r.text[s.Label()]}
	if path := r.text[s.Env+"_FILE"]; path != "" && !r.readFile(&v, path) {
		return
	}
	switch {
	case v.text == "" && s.Required != "":
		v.fault("required: %s", s.Required)
	case v.text == "" && s.Default == "", s.convert == nil:
	default:
		s.convert(v)
	}
}

// readFile takes the value from a file. Its faults name neither the file nor what is in it: it is
// easy to set a secret where the name of its file belongs.
func (r *reader) readFile(v *value, path string) (ok bool) {
	file := v.Env + "_FILE"
	if r.given[v.Env] && v.text != "" {
		v.fault("set together with %s: set one of the two", file)
		return false
	}
	v.name = file
	data, err := os.ReadFile(path)
	if err != nil {
		v.fault("cannot be read: %v", withoutPath(err))
		return false
	}
	v.text = strings.TrimRight(string(data), "\r\n")
	if v.text == "" {
		v.fault("the file is empty")
	}
	return v.text != ""
}

func withoutPath(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

// quote shows a value in a fault, unless it looks like a secret that was set in the wrong place.
func quote(text string) string {
	if regexp.MustCompile(`whsec_|sk_|rk_|@|://`).MatchString(text) || len(text) > 80 {
		return "what is set"
	}
	return strconv.Quote(text)
}

// matches reports whether the whole text matches the pattern.
func matches(pattern, text string) bool {
	return regexp.MustCompile(`\A(?:` + pattern + `)\z`).MatchString(text)
}
