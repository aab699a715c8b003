package release_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A check that finds nothing because it could not look would be worse than no check.
func TestVulnerabilitiesAreLookedFor(t *testing.T) {
	t.Parallel()
	needs(t, "bash")
	needsTool(t, "tools/go.mod", "govulncheck")
	cases := map[string]struct {
		db     string
		status int
		prints string
	}{
		"none":        {database(t, `"9999.0.0"`), 0, "No vulnerabilities found"},
		"one":         {database(t, `"0"`), 3, "VULNERABLE"},
		"no database": {"file://" + t.TempDir(), 1, "NOT CHECKED"},
		"offline":     {"http://127.0.0.1:1", 1, "NOT CHECKED"},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "tools/vulncheck.sh", "./events")
			cmd.Dir = root
			cmd.Env = append(cmd.Environ(), "VULNDB="+tt.db)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != tt.status || !strings.Contains(string(out), tt.prints) {
				t.Errorf("got status %d, want %d and %q:\n%s", got, tt.status, tt.prints, out)
			}
		})
	}
}

// database makes one that says since which version encoding/json has been vulnerable.
func database(t *testing.T, introduced string) string {
	t.Helper()
	dir := t.TempDir()
	const at = `"modified":"2026-01-01T00:00:00Z"`
	for name, content := range map[string]string{
		"index/db.json":      `{` + at + `}`,
		"index/modules.json": `[{"path":"stdlib","vulns":[{"id":"GO-2026-0001",` + at + `}]}]`,
		"index/vulns.json":   `[{"id":"GO-2026-0001",` + at + `}]`,
		"ID/GO-2026-0001.json": `{"schema_version":"1.3.1","id":"GO-2026-0001",` + at + `,
			"database_specific":{"url":"https://example.com"},"affected":[{
			"package":{"name":"stdlib","ecosystem":"Go"},
			"ranges":[{"type":"SEMVER","events":[{"introduced":` + introduced + `}]}],
			"ecosystem_specific":{"imports":[{"path":"encoding/json"}]}}]}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + dir
}
