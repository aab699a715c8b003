package cli_test

import (
	"errors"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/cli"
)

// optionsOf lists the options of every command: the flags that are not settings.
var optionsOf = map[string][]string{
	"bridge":                 nil,
	"bridge serve":           nil,
	"bridge provision":       {"--dry-run", "--consumers"},
	"bridge link":            {"--customer", "--customer-account", "--user", "--file", "--account", "--as-of", "--dry-run", "--json"},
	"bridge backfill":        {"--since", "--types", "--undelivered-only", "--gaps", "--account", "--dry-run", "--json"},
	"bridge import":          {"--created-since", "--status", "--account", "--rate", "--from-file", "--dry-run", "--json"},
	"bridge doctor":          {"--curl", "--body", "--headers", "--signature", "--json"},
	"bridge health":          {"--json"},
	"bridge completion":      nil,
	"bridge completion bash": nil,
	"bridge completion zsh":  nil,
	"bridge completion fish": nil,
	"bridge help":            nil,
	"subscriber":             nil,
	"subscriber run":         nil,
	"subscriber audit":       {"--subscription", "--customer", "--user", "--event", "--type", "--ignored", "--since", "--until", "--limit", "--without-user", "--payload", "--wide", "--json"},
	"subscriber verify":      {"--fix", "--secondary", "--json"},
	"subscriber replay":      {"--from-sequence", "--from-time", "--subscription", "--account", "--rate", "--renormalize", "--from-audit", "--into", "--diff", "--apply", "--drop", "--restart", "--json"},
	"subscriber dlq":         nil,
	"subscriber dlq list":    {"--code", "--subject", "--since", "--until", "--limit", "--json"},
	"subscriber dlq show":    {"--payload", "--json"},
	"subscriber dlq redrive": {"--all", "--code", "--subject", "--since", "--until", "--limit", "--by", "--json"},
	"subscriber dlq discard": {"--yes", "--by", "--json"},
	"subscriber health":      {"--json"},
	"subscriber completion":  nil,
	"subscriber help":        nil,
	"standalone":             {"--simulate", "--once"},
	"standalone completion":  nil,
	"stripesim":              nil,
	"stripesim completion":   nil,
	"stripesim help":         nil,
}

// settingsOf finds the settings of a command: all settings with one of the beginnings, and no others.
var settingsOf = map[string]string{
	"bridge":                 `LISTEN|WEBHOOK|PUBLISH|USER_ID|REDACT|STRIPE|BACKFILL|NATS|STREAM|STATE|PROVISION|ADMIN|LOG|SHUTDOWN`,
	"bridge serve":           `LISTEN|WEBHOOK|PUBLISH|USER_ID|REDACT|STRIPE|BACKFILL|NATS|STREAM|STATE|PROVISION|ADMIN|LOG|SHUTDOWN`,
	"bridge provision":       `CONSUMER|NATS|STREAM|STATE|LOG`,
	"bridge link":            `STRIPE_WEBHOOK_SECRETS|WEBHOOK_LIVEMODE|NATS|STREAM_NAME|LOG`,
	"bridge backfill":        `STRIPE|WEBHOOK_LIVEMODE|WEBHOOK_ACCOUNTS|USER_ID|REDACT|NATS|STREAM_NAME|LOG`,
	"bridge import":          `STRIPE|WEBHOOK_LIVEMODE|WEBHOOK_ACCOUNTS|USER_ID|REDACT|NATS|STREAM_NAME|LOG`,
	"bridge doctor":          `STRIPE_WEBHOOK_SECRETS|WEBHOOK_LIVEMODE|WEBHOOK_TOLERANCE`,
	"bridge health":          `ADMIN`,
	"subscriber health":      `ADMIN`,
	"subscriber":             `NATS|STREAM|STATE|PROVISION|CONSUMER|MAX_IN_FLIGHT|MONGODB|AUDIT|ADMIN|LOG|SHUTDOWN`,
	"subscriber run":         `NATS|STREAM|STATE|PROVISION|CONSUMER|MAX_IN_FLIGHT|MONGODB|AUDIT|ADMIN|LOG|SHUTDOWN`,
	"subscriber audit":       `MONGODB|LOG`,
	"subscriber verify":      `WEBHOOK_LIVEMODE|WEBHOOK_ACCOUNTS|USER_ID|NATS|STREAM_NAME|STATE|MONGODB|LOG`,
	"subscriber dlq list":    `NATS|LOG`,
	"subscriber dlq show":    `NATS|LOG`,
	"subscriber dlq redrive": `NATS|STREAM_NAME|STATE|CONSUMER|MONGODB|LOG`,
	"subscriber dlq discard": `NATS|MONGODB|LOG`,
	"subscriber replay":      `WEBHOOK_LIVEMODE|WEBHOOK_ACCOUNTS|USER_ID|NATS|STREAM_NAME|STATE|PROVISION|CONSUMER|MAX_IN_FLIGHT|MONGODB|LOG`,
	"standalone": `LISTEN|WEBHOOK|PUBLISH|USER_ID|REDACT|STRIPE|BACKFILL|STANDALONE|STREAM_NAME|STATE|STREAM_MAX|STREAM_DUPLICATE|CONSUMER|MAX_IN_FLIGHT` +
		`|MONGODB_DATABASE|AUDIT|DATA_DIR|ADMIN|LOG|SHUTDOWN`,
	"stripesim": `STRIPESIM`,
}

func TestHelpOfEveryCommand(t *testing.T) {
	t.Parallel()
	row := regexp.MustCompile(`(?m)^  (--[a-z-]+)(?:, ([A-Z_]+))?`)
	for path, options := range optionsOf {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			words := strings.Fields(path)
			help, err := execute(t, words[0], append(words[1:], "--help")...)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(help) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 && !strings.HasPrefix(line, "  "+words[0]) {
					t.Errorf("got %d columns, want at most 80: %s", n, line)
				}
			}
			if n := strings.Count(help, "\n  # "); n != 2 || !strings.Contains(help, "\nUsage:\n  "+path) {
				t.Errorf("got %d examples, want 2, and the usage of %s:\n%s", n, path, help)
			}
			var gotOptions []string
			var gotSettings []string
			for _, found := range row.FindAllStringSubmatch(help, -1) {
				switch {
				case found[2] != "":
					gotSettings = append(gotSettings, found[2])
				case found[1] != "--version":
					gotOptions = append(gotOptions, found[1])
				}
			}
			if diff := cmp.Diff(options, gotOptions); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(expected(words[0], settingsOf[path]), gotSettings); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

// expected returns the settings of a program whose variables have one of the beginnings.
func expected(program, beginnings string) []string {
	if beginnings == "" {
		return nil
	}
	begins := regexp.MustCompile(`^(` + beginnings + `)`)
	return slices.DeleteFunc(variables(programs()[program]), func(env string) bool { return !begins.MatchString(env) })
}

// variables returns the variables of a program's settings, each once.
func variables(c cli.Command) []string {
	var names []string
	for _, s := range c.Settings {
		names = append(names, s.Env)
	}
	for _, sub := range c.Commands {
		names = append(names, variables(sub)...)
	}
	var unique []string
	for _, name := range names {
		if name != "" && !slices.Contains(unique, name) {
			unique = append(unique, name)
		}
	}
	return unique
}

func TestHelpIsAskedForInSeveralWays(t *testing.T) {
	t.Parallel()
	want, err := execute(t, "bridge", "provision", "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"help", "provision"},
		{"provision", "-h"},
		{"provision", "-help"},
		{"--help", "provision"},
		{"provision", "--no-such-flag", "--help"},
		{"provision", "--help", "---x"},
	} {
		if got, err := execute(t, "bridge", args...); got != want || err != nil {
			t.Errorf("%q: got %v and\n%s", args, err, got)
		}
	}
	root, err := execute(t, "bridge", "--help")
	if got, _ := execute(t, "bridge", "help"); got != root || err != nil || !strings.Contains(root, "\n  provision    Create the streams") {
		t.Errorf("got %v and\n%s", err, got)
	}
}

func TestSettingsTopicListsAllSettings(t *testing.T) {
	t.Parallel()
	for name, c := range programs() {
		got, err := execute(t, name, "help", "settings")
		if err != nil {
			t.Fatal(err)
		}
		for _, env := range variables(c) {
			if strings.Count(got, ", "+env+" (")+strings.Count(got, ", "+env+"\n") != 1 {
				t.Errorf("%s: want one row of %s", name, env)
			}
		}
		if n := strings.Count(got, "\n  --"); n != len(variables(c)) {
			t.Errorf("%s: got %d rows, want %d", name, n, len(variables(c)))
		}
	}
}

// TestHelpListsWhatIsRead checks that no command reads a variable that its help does not list.
func TestHelpListsWhatIsRead(t *testing.T) {
	t.Parallel()
	for path := range settingsOf {
		words := strings.Fields(path)
		var read []string
		_ = cli.Execute(t.Context(), programs()[words[0]], words[1:], func(name string) string {
			if !slices.Contains(read, name) {
				read = append(read, name)
			}
			return environment(name)
		}, t.Output(), t.Output())
		if diff := cmp.Diff(expected(words[0], settingsOf[path]), read); diff != "" {
			t.Errorf("%s: variables (-want +got):\n%s", path, diff)
		}
	}
}

// TestExamplesAreCorrect runs every example. The files in them do not exist.
func TestExamplesAreCorrect(t *testing.T) {
	t.Parallel()
	for path := range optionsOf {
		words := strings.Fields(path)
		help, err := execute(t, words[0], append(words[1:], "--help")...)
		if err != nil {
			t.Fatal(err)
		}
		for _, example := range regexp.MustCompile(`(?m)^  # .*\n  (.*)$`).FindAllStringSubmatch(help, -1) {
			_, line, found := strings.Cut(" "+strings.ReplaceAll(example[1], "(", "( "), " "+words[0])
			line, _, _ = strings.Cut(line, ">")
			line, _, _ = strings.Cut(line, ")")
			line, _, _ = strings.Cut(line, "|")
			_, err := execute(t, words[0], strings.Fields(line)...)
			var faults *config.Faults
			if errors.As(err, &faults) {
				faults.Lines = slices.DeleteFunc(faults.Lines, func(line string) bool {
					return strings.Contains(line, "secrets.txt") || strings.Contains(line, "_FILE")
				})
			}
			if !found || err != nil && (faults == nil || len(faults.Lines) > 0) {
				t.Errorf("%s: got %v of %q", path, err, example[1])
			}
		}
	}
}

func TestExitCodesTopic(t *testing.T) {
	t.Parallel()
	got, err := execute(t, "subscriber", "help", "exit-codes")
	if err != nil || !strings.HasPrefix(got, "Exit status:\n  0  ") || !strings.Contains(got, "\n  2  Wrong usage or configuration.") {
		t.Errorf("got %v and\n%s", err, got)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--version"}, {"-version"}, {"audit", "--version"}} {
		got, err := execute(t, "subscriber", args...)
		if err != nil || got != cli.Version("subscriber")+"\n" || !strings.HasPrefix(got, "subscriber ") || !strings.HasSuffix(got, runtime.Version()+")\n") {
			t.Errorf("%q: got %q, %v, want program, version, commit and Go version", args, got, err)
		}
	}
}

type brokenPipe struct{}

var errBroken = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestHelpThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"help", "settings"}, {"--version"}, {"completion", "bash"}} {
		if err := cli.Execute(t.Context(), programs()["bridge"], args, environment, brokenPipe{}, t.Output()); !errors.Is(err, errBroken) {
			t.Errorf("%q: got %v", args, err)
		}
	}
}
