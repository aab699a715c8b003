package config

import (
	"errors"
	"io"
	"strings"
)

// Help is an error only in form: somebody asked for help or for the version, and this is the answer.
type Help struct{ Text string }

func (h *Help) Error() string { return h.Text }

// Faults is everything that is wrong with the arguments and the environment.
type Faults struct {
	Program string
	Lines   []string // "SETTING: what is wrong", in the order of the settings
}

func (f *Faults) Error() string {
	heading := "wrong usage or configuration (see " + f.Program + " --help):"
	return heading + "\n  " + strings.Join(f.Lines, "\n  ")
}

// ExitCode is the status to exit with after an error: 0 for none and for help, 2 for wrong usage or
// configuration, 1 for everything else.
func ExitCode(err error) int {
	var (
		help   *Help
		faults *Faults
	)
	switch {
	case err == nil, errors.As(err, &help):
		return 0
	case errors.As(err, &faults):
		return 2
	default:
		return 1
	}
}

// Show writes the text that a person asked for with --help or --version, and
// returns every other error as it is.
func Show(err error, stdout io.Writer) error {
	help, ok := errors.AsType[*Help](err)
	if !ok {
		return err
	}
	_, err = io.WriteString(stdout, help.Text)
	return err
}
