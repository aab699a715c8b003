package release_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/licensecheck"
)

// allowed are the licenses of libraries that can be linked into programs under the MIT license.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MPL-2.0", "PostgreSQL"}

type library struct{ Path, Version, Dir string }

func TestLicensesPermitShipping(t *testing.T) {
	t.Parallel()
	libraries := linkedLibraries(t)
	if len(libraries) < 50 {
		t.Fatalf("found %d libraries only", len(libraries))
	}
	for _, l := range libraries {
		found := licenses(t, l.Dir)
		if len(found) == 0 {
			t.Errorf("%s has no license that is known", l.Path)
		}
		for _, id := range found {
			if !slices.Contains(allowed, id) {
				t.Errorf("%s has the license %s, want one of %q", l.Path, id, allowed)
			}
		}
	}
}

func TestOtherLicensesAreFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got := licenses(t, dir); len(got) > 0 {
		t.Errorf("got %q without a file", got)
	}
	text := "This is free software: https://www.gnu.org/licenses/agpl.txt\n"
	if err := os.WriteFile(filepath.Join(dir, "COPYING"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := licenses(t, dir); len(got) != 1 || slices.Contains(allowed, got[0]) {
		t.Errorf("got %q, want one that is not allowed", got)
	}
}

// linkedLibraries returns the modules of all packages in our programs.
func linkedLibraries(t *testing.T) []library {
	t.Helper()
	out := run(t, root, []string{"CGO_ENABLED=0"}, "go", "list", "-deps", "-json=Module", "./cmd/...")
	found := map[string]library{}
	for decoder := json.NewDecoder(strings.NewReader(out)); decoder.More(); {
		var p struct{ Module *library }
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.Module != nil && p.Module.Version != "" {
			found[p.Module.Path] = *p.Module
		}
	}
	var libraries []library
	for _, l := range found {
		libraries = append(libraries, l)
	}
	return libraries
}

var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([.-].*)?$`)

// licenses returns the SPDX identifiers of the license files in a folder.
func licenses(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		if !entry.IsDir() && licenseFile.MatchString(entry.Name()) {
			for _, match := range licensecheck.Scan([]byte(read(t, filepath.Join(dir, entry.Name())))).Match {
				found = append(found, match.ID)
			}
		}
	}
	return found
}
