package kit

import "strings"

// Flags returns the flags that a command line gives: --name=value, --name value, and --name for a flag
// without a value. It is for tests that load settings without a program's command line.
func Flags(args ...string) map[string]string {
	flags := map[string]string{}
	for i := 0; i < len(args); i++ {
		name, value, ok := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		switch {
		case ok:
		case i+1 < len(args) && !strings.HasPrefix(args[i+1], "--"):
			i++
			value = args[i]
		default:
			value = "true"
		}
		flags[name] = value
	}
	return flags
}
