package config

import (
	"errors"
	"strings"
)

// Faults is everything that is wrong with the arguments and the environment.
type Faults struct {
	Program string   // and command, whose help to read: "bridge doctor"
	Lines   []string // "SETTING: what is wrong", in the order of the settings
}

func (f *Faults) Error() string {
	heading := "wrong usage or configuration (see " + f.Program + " --help):"
	return heading + "\n  " + strings.Join(f.Lines, "\n  ")
}

// ExitCode returns the exit status for an error: 0 for none, 2 for wrong usage or configuration,
// and 1 for everything else.
func ExitCode(err error) int {
	var faults *Faults
	switch {
	case err == nil:
		return 0
	case errors.As(err, &faults):
		return 2
	default:
		return 1
	}
}
