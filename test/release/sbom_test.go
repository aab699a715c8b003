package release_test

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// checkSBOM checks that an SBOM names exactly what is linked into its program.
func checkSBOM(t *testing.T, file string) {
	t.Helper()
	var sbom struct {
		Metadata   struct{ Component component }
		Components []component
	}
	raw := read(t, file+".cdx.json")
	if err := json.Unmarshal([]byte(raw), &sbom); err != nil {
		t.Fatal(err)
	}
	validate(t, raw)
	if got := sbom.Metadata.Component; got.Version != version || !strings.HasSuffix(got.PURL, "#cmd/"+program) {
		t.Errorf("got an SBOM of %+v, want %s %s", got, program, version)
	}
	var got []string
	for _, c := range sbom.Components {
		got = append(got, c.Name+" "+c.Version)
	}
	slices.Sort(got)
	if diff := cmp.Diff(linked(t, file), got); diff != "" {
		t.Errorf("the SBOM differs from what is linked (+SBOM):\n%s", diff)
	}
}

type component struct{ Name, Version, PURL string }

// linked returns the modules in a program, as go version -m does, and Go's standard library.
func linked(t *testing.T, file string) []string {
	t.Helper()
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	modules := []string{"std " + info.GoVersion}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		modules = append(modules, dep.Path+" "+dep.Version)
	}
	if len(modules) < 10 {
		t.Fatalf("found %q only", modules)
	}
	slices.Sort(modules)
	return modules
}

// validate checks a text with CycloneDX's own schema, which is in a module of the tool.
func validate(t *testing.T, text string) {
	t.Helper()
	dir := strings.TrimSpace(run(t, root, nil, "go", "list", "-m", "-modfile=tools/release/go.mod", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go"))
	compiler := jsonschema.NewCompiler()
	for name, file := range map[string]string{"bom-1.6": "bom-1.6.schema.json", "spdx": "spdx.schema.json", "jsf-0.82": "jsf-0.82.schemax.json"} {
		schema := decode(t, read(t, filepath.Join(dir, "schema", file)))
		if err := compiler.AddResource("http://cyclonedx.org/schema/"+name+".schema.json", schema); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(decode(t, text)); err != nil {
		t.Error(err)
	}
	if err := schema.Validate(decode(t, strings.Replace(text, `"type": "library"`, `"type": "program"`, 1))); err == nil {
		t.Error("the schema permits a type that there is not")
	}
}

func decode(t *testing.T, text string) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return value
}
