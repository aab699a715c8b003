package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// complete starts bash with the completion script of a program, and returns the completions of the
// last word of the line, without their descriptions.
func complete(t *testing.T, line string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name, _, _ := strings.Cut(line, " ")
	script := "#!/bin/sh\n" + programVar + "=" + name + " exec '" + self + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secrets.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// The function is part of the package bash-completion, which is not installed everywhere.
	const ask = `
		_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword-1]}; }
		source <("$1" completion bash) || exit
		complete -p "$1" >&2 || exit
		COMP_LINE=$2; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; COLUMNS=200
		read -ra COMP_WORDS <<<"$COMP_LINE"
		[[ $COMP_LINE == *" " ]] && COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		"__start_$1"
		printf '%s\n' "${COMPREPLY[@]}"`
	cmd := exec.CommandContext(t.Context(), "bash", "--norc", "-c", ask, "bash", name, line)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for reply := range strings.Lines(string(out)) {
		if word, _, _ := strings.Cut(strings.TrimSpace(reply), " "); word != "" {
			found = append(found, word)
		}
	}
	return found
}

func TestCompletionInBash(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, line string
		want       []string
	}{
		{"commands", "bridge ", []string{"backfill", "completion", "doctor", "endpoint", "health", "help", "import", "link", "provision", "reconcile", "serve"}},
		{"beginning of a command", "subscriber au", []string{"audit"}},
		{"commands in a command", "subscriber dlq ", []string{"discard", "list", "redrive", "show"}},
		{"options before and after an argument", "subscriber dlq redrive 17 --a", []string{"--all"}},
		{"commands after a flag with a value", "stripesim comp", []string{"completion"}},
		{"shells", "standalone completion ", []string{"bash", "fish", "zsh"}},
		{"help topics and commands", "bridge help ", []string{"exit-codes", "settings", "backfill", "completion", "doctor", "endpoint", "health", "help", "import", "link", "provision", "reconcile", "serve"}},
		{"flags of the default command", "bridge --webhook-l", []string{"--webhook-livemode"}},
		{"options of a command", "subscriber audit --s", []string{"--since", "--subscription"}},
		{"no settings of other commands", "subscriber audit --nats", nil},
		{"words of a setting, in order", "bridge serve --log-level ", []string{"debug", "info", "warn", "error"}},
		{"word after an equals sign", "bridge serve --webhook-livemode=t", []string{"test"}},
		{"word of a setting", "subscriber audit --log-format j", []string{"json"}},
		{"no words for free text", "subscriber audit --customer ", nil},
		{"no arguments", "subscriber audit ", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, complete(t, tt.line)); diff != "" {
				t.Errorf("%q (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

// TestFilesAreCompleted checks what the program answers the shell, which then completes the files.
func TestFilesAreCompleted(t *testing.T) {
	t.Parallel()
	const files, noFiles = ":0\n", ":4\n"
	for _, tt := range []struct{ program, flag, want string }{
		{"bridge", "--stripe-webhook-secrets-file", files},
		{"subscriber", "--nats-creds-file", files},
		{"standalone", "--data-dir", files},
		{"stripesim", "--truth", files},
		{"bridge", "--stripe-webhook-secrets", noFiles},
	} {
		var out, status strings.Builder
		if err := executeTo(t, &out, &status, tt.program, "__complete", tt.flag, ""); err != nil || out.String() != tt.want {
			t.Errorf("%s: got %q, %v", tt.flag, out.String(), err)
		}
	}
}

func TestScriptsOfOtherShells(t *testing.T) {
	t.Parallel()
	for shell, want := range map[string]string{"zsh": "#compdef bridge\n", "fish": "# fish completion for bridge "} {
		out, err := execute(t, "bridge", "completion", shell)
		if err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("%s: got %v and %.80q", shell, err, out)
		}
	}
}
