package release_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	root    = "../.."
	version = "v1.2.3"
	program = "bridge"
	binary  = program + "_" + version + "_linux_" + runtime.GOARCH
)

// The same commit is built in two folders, by two environments, from files of two ages.
func TestSameCommitGivesSameFiles(t *testing.T) {
	t.Parallel()
	needs(t, "git", "jq", "make", "sha256sum")
	needsTool(t, "tools/release/go.mod", "cyclonedx-gomod")
	one, two := checkout(t), checkout(t)
	age(t, two, 1000*time.Hour)
	build(t, one, "GOFLAGS=-buildvcs=false", "TZ=UTC", "GOAMD64=v3")
	build(t, two, "GOFLAGS=", "TZ=Pacific/Auckland", "LC_ALL=C", "CGO_ENABLED=1", "GOFIPS140=latest")

	first, second := files(t, one), files(t, two)
	if first["SHA256SUMS"] == "" || len(first) != 3 {
		t.Fatalf("got %d files, want a program, its SBOM and the checksums", len(first))
	}
	for name, content := range first {
		if content != second[name] {
			t.Errorf("%s differs", name)
		}
	}
	if diff := cmp.Diff(first["SHA256SUMS"], second["SHA256SUMS"]); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(first[binary], one) {
		t.Errorf("the program contains the path %s", one)
	}
	run(t, filepath.Join(one, "dist"), nil, "sha256sum", "--check", "--strict", "SHA256SUMS")
	checkSBOM(t, filepath.Join(one, "dist", binary))
}

// Otherwise, files that are not those of the tag would get its version.
func TestOnlyTheTagIsReleased(t *testing.T) {
	t.Parallel()
	needs(t, "git", "make")
	dir := checkout(t)
	refused(t, dir, "v1.2.4", "says that it is "+version)
	appendTo(t, filepath.Join(dir, "go.mod"), "\n")
	refused(t, dir, version, "says that it is "+version+"+dirty")
}

func refused(t *testing.T, dir, version, want string) {
	t.Helper()
	out, err := release(t, dir, version).CombinedOutput()
	if err == nil || !strings.Contains(string(out), want) {
		t.Errorf("got %v, want %q:\n%s", err, want, out)
	}
}

// An image contains the program that is released, so its hash can be compared.
func TestFlagsAreThoseOfTheImage(t *testing.T) {
	t.Parallel()
	const flags = ` go build -trimpath -ldflags="-s -w" `
	for _, name := range []string{"Dockerfile", "tools/release.sh"} {
		if text := read(t, filepath.Join(root, name)); !strings.Contains(text, flags) || !strings.Contains(text, "CGO_ENABLED=0") {
			t.Errorf("%s does not build with%sand CGO_ENABLED=0", name, flags)
		}
	}
}

// checkout commits the files of this working tree in a folder of its own and tags them.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	listed := run(t, root, nil, "git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.TrimRight(listed, "\x00"), "\x00") {
		copyFile(t, filepath.Join(root, name), filepath.Join(dir, name))
	}
	const at = "2026-01-02T03:04:05Z"
	env := []string{
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
		"GIT_AUTHOR_DATE=" + at, "GIT_COMMITTER_DATE=" + at, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"commit", "-q", "-m", "a"}, {"tag", version}} {
		run(t, dir, env, "git", args...)
	}
	return dir
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if os.IsNotExist(err) { // deleted, and git still has it
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte(read(t, from)), info.Mode()); err != nil {
		t.Fatal(err)
	}
}

// age makes all files older, as if they had been checked out earlier.
func age(t *testing.T, dir string, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	for name := range strings.FieldsSeq(run(t, dir, nil, "git", "ls-files", "*.go")) {
		if err := os.Chtimes(filepath.Join(dir, name), then, then); err != nil {
			t.Fatal(err)
		}
	}
}

func build(t *testing.T, dir string, env ...string) {
	t.Helper()
	cmd := release(t, dir, version)
	cmd.Env = append(cmd.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// release builds one program for one platform, which takes seconds.
func release(t *testing.T, dir, version string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "make", "release", "VERSION="+version)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "PROGRAMS="+program, "PLATFORMS=linux/"+runtime.GOARCH)
	return cmd
}

// files returns the contents of what was built.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(dir, "dist", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		found[filepath.Base(path)] = read(t, path)
	}
	return found
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(read(t, path)+text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// run returns what a command prints.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	return string(out)
}
