package arch_test

import (
	"bytes"
	"encoding/json"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/billbus/billbus"

// Other modules, under short names.
const (
	cobra         = "github.com/spf13/cobra"
	pflag         = "github.com/spf13/pflag"
	watermill     = "github.com/ThreeDotsLabs/watermill"
	watermillMsg  = "github.com/ThreeDotsLabs/watermill/message"
	watermillNATS = "github.com/ThreeDotsLabs/watermill-nats"
	natsClient    = "github.com/nats-io/nats.go"
	natsServer    = "github.com/nats-io/nats-server"
	nkeys         = "github.com/nats-io/nkeys"
	mongoDriver   = "go.mongodb.org/mongo-driver"
	ferretDB      = "github.com/FerretDB/FerretDB"
	stripe        = "github.com/stripe/stripe-go"
	prometheus    = "github.com/prometheus/client_golang"
	errgroup      = "golang.org/x/sync/errgroup"
	rateLimit     = "golang.org/x/time/rate"
	semaphore     = "golang.org/x/sync/semaphore"
	memlimit      = "github.com/KimMachineGun/automemlimit"
	goPretty      = "github.com/jedib0t/go-pretty"
	terminal      = "golang.org/x/term"
	systemCalls   = "golang.org/x/sys"
	flock         = "github.com/gofrs/flock"
	shell         = "mvdan.cc/sh"
	charmap       = "golang.org/x/text/encoding/charmap"
	jsonV2        = "github.com/go-json-experiment/json"
	goCmp         = "github.com/google/go-cmp"
	toxiproxy     = "github.com/Shopify/toxiproxy"
	zerolog       = "github.com/rs/zerolog"
)

// anything may be imported by packages that only wire others together.
const anything = module

// table says what each package may import in addition to the standard library. A
// name without a host is a package of this module. Imports of tests are limited
// only by the other tests here.
var table = map[string][]string{
	"events":          {jsonV2},
	"events/access":   {"events"},
	"events/ordering": {"events", jsonV2},
	"config":          {"internal/normalize", "internal/secret", nkeys},
	"handlers":        {"events", "events/ordering", "internal/failpoint", "internal/fault", "internal/store", watermillMsg, semaphore},

	"internal/failpoint": {},
	"internal/fault":     {},
	"internal/secret":    {},
	"internal/cli":       {"config", cobra, pflag},
	"internal/ops":       {"internal/fault", "internal/secret", "internal/term", prometheus, semaphore, memlimit},
	"internal/term":      {goPretty, terminal},

	"internal/stripehook": {"internal/fault", stripe},
	"internal/doctor":     {"internal/fault", "internal/stripehook", "internal/term", shell, charmap},
	"internal/stripeapi":  {"events", "internal/fault", "internal/secret", stripe, rateLimit},
	"internal/normalize":  {"events"},
	"internal/stripesim":  {"events"},
	"internal/natsbus":    {"events", "internal/failpoint", "internal/fault", "internal/secret", watermill, watermillNATS, natsClient},
	"internal/store":      {"events", "events/ordering", "internal/failpoint", "internal/fault"},
	"internal/mongostore": {"events", "events/ordering", "internal/fault", "internal/store", mongoDriver, errgroup, jsonV2},
	"internal/verify":     {"events", "events/ordering", "internal/store"},
	"internal/gaps":       {"events/ordering"},
	"internal/view": {
		"events", "events/access", "events/ordering", "handlers", "internal/failpoint", "internal/fault", "internal/store", watermillMsg, errgroup, jsonV2,
	},

	"internal/stripesim/api": {"internal/stripesim", rateLimit},

	"internal/embedded/natsserver": {natsServer},
	"internal/embedded/docdb":      {ferretDB, "modernc.org/sqlite"},

	"internal/bridge": {
		"config", "events", "handlers", "internal/doctor", "internal/failpoint", "internal/fault", "internal/gaps", "internal/natsbus", "internal/normalize", "internal/ops",
		"internal/stripeapi", "internal/stripehook", "internal/term",
		watermillMsg, errgroup,
	},
	"internal/subscriber": {
		"config", "events", "events/ordering", "handlers", "internal/failpoint", "internal/fault", "internal/gaps", "internal/mongostore", "internal/natsbus", "internal/normalize",
		"internal/ops", "internal/store", "internal/term", "internal/verify", "internal/view",
		watermillMsg, errgroup, rateLimit,
	},
	"internal/standalone": {
		"config", "events", "events/ordering", "internal/bridge", "internal/subscriber", "internal/embedded", "internal/fault",
		"internal/normalize", "internal/ops", "internal/secret", "internal/store", "internal/stripesim", "internal/term",
		flock,
	},

	// What only tests use.
	"test/arch":   {},
	"test/attack": {"test/kit"},
	"test/cases":  {},
	"test/chaos": {
		"internal/stripesim", "internal/term", "test/chaos/report", "test/chaos/verdict", "test/kit", natsClient,
	},
	"test/contract":    {},
	"test/corpus":      {},
	"test/deploy":      {},
	"test/e2e":         {},
	"test/kit":         {"events", systemCalls},
	"test/micro":       {},
	"test/mongotest":   {mongoDriver},
	"test/prose":       {},
	"test/release":     {},
	"test/reliability": {"events", "internal/stripesim", "test/attack", "test/kit", mongoDriver, natsClient},
	"test/storetest":   {"events", "events/ordering", "internal/fault", "internal/store", "test/kit", goCmp},

	// What judges a run of the programs.
	"test/chaos/verdict": {
		"events", "events/access", "events/ordering", "internal/store", "internal/stripesim", "test/kit/judge", mongoDriver, natsClient, goCmp,
	},
	"test/chaos/report": {"test/chaos/verdict"},

	// Not in test/kit, because they link servers, the database's driver and toxiproxy.
	"test/kit/deploy":   {"test/kit", mongoDriver, natsClient},
	"test/kit/judge":    {"events", mongoDriver, goCmp},
	"test/kit/natstest": {"events", "internal/embedded", "test/kit", natsClient, natsServer},
	"test/kit/proxy":    {"test/kit", toxiproxy, zerolog},
	"test/kit/servers":  {"internal/embedded", "test/kit", "test/mongotest"},

	// What other programs can do with the contract and nothing else of this module.
	"examples":              {},
	"examples/entitlement":  {"events", "events/ordering"},
	"examples/go-nats":      {"events", "examples/entitlement", natsClient},
	"examples/go-watermill": {"events", "examples/entitlement", watermill, watermillNATS, natsClient},
	"examples/entitlements": {"events", natsClient},
	"examples/notifier":     {"events", natsClient},
	"examples/provisioner":  {"events", natsClient},

	// Measures the programs.
	"bench": {
		"bench/figures", "events", "handlers", "internal/mongostore", "internal/natsbus", "internal/normalize", "internal/stripesim", "internal/term",
		"test/kit", watermillMsg, natsClient, mongoDriver,
	},
	"bench/figures": {"internal/term"},
	"bench/memory": {
		"events", "events/ordering", "handlers", "internal/fault", "internal/natsbus", "internal/normalize", "internal/ops", "internal/store",
		"test/storetest", watermillMsg, errgroup,
	},
	"bench/floor": {natsClient, mongoDriver, errgroup},

	"cmd/bridge":     {anything},
	"cmd/chaos":      {anything},
	"cmd/subscriber": {anything},
	"cmd/standalone": {anything},
	"cmd/stripesim":  {anything},
}

// testOnly is what only tests may import.
var testOnly = []string{
	"github.com/stretchr/testify", "go.uber.org/goleak", "pgregory.net/rapid", "github.com/google/go-cmp",
	"github.com/santhosh-tekuri/jsonschema", "github.com/cloudevents/sdk-go", "github.com/google/licensecheck",
	module + "/test", "testing", toxiproxy,
}

// private is what another module cannot import or does not need.
var private = []string{
	module + "/internal", module + "/config", module + "/handlers", stripe, mongoDriver, natsServer, ferretDB, prometheus,
}

// linksFerretDB are the packages whose tests may link FerretDB. That takes a minute
// for each.
var linksFerretDB = []string{
	"internal/embedded/docdb", "internal/standalone", "internal/mongostore", "test/e2e", "test/kit/servers", "test/kit/deploy", "test/reliability", "test/chaos", "cmd/chaos", "cmd/standalone", "bench",
}

// linkers are packages that link FerretDB into what imports them.
var linkers = []string{module + "/internal/embedded/docdb", module + "/internal/standalone", module + "/test/kit/servers", module + "/test/kit/deploy"}

type goPackage struct {
	ImportPath                         string
	Dir                                string
	Doc                                string
	Standard                           bool
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
}

// path is the name in the table.
func (p goPackage) path() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func TestImports(t *testing.T) {
	t.Parallel()
	listed := list(t, "./...")
	if len(listed) < 10 {
		t.Fatalf("go list found %d packages only", len(listed))
	}
	for _, p := range listed {
		allowed, ok := table[p.path()]
		if !ok {
			t.Errorf("%s has no entry in the table: add what it may import here and in docs/architecture.md", p.path())
			continue
		}
		for _, imported := range p.Imports {
			if !isStandard(imported) && !slices.ContainsFunc(allowed, func(a string) bool { return within(imported, qualified(a)) }) {
				t.Errorf("%s imports %s, which the table does not allow", p.path(), imported)
			}
		}
		for _, a := range allowed {
			if a != anything && !slices.ContainsFunc(p.Imports, func(imported string) bool { return within(imported, qualified(a)) }) {
				t.Errorf("%s may import %s and does not: remove it from the table", p.path(), a)
			}
		}
	}
	for path := range table {
		if !slices.ContainsFunc(listed, func(p goPackage) bool { return p.path() == path }) {
			t.Errorf("the table has an entry for %s, which does not exist", path)
		}
	}
}

func TestOnlyTestsImportTestTools(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "./...") {
		if isOneOf(p.ImportPath, []string{module + "/test", module + "/bench", module + "/cmd/chaos"}) {
			continue
		}
		for _, imported := range p.Imports {
			if isOneOf(imported, testOnly) {
				t.Errorf("%s imports %s, which is for tests only", p.path(), imported)
			}
		}
	}
}

func TestFewTestsLinkFerretDB(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "./...") {
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			linked := within(imported, ferretDB) || isOneOf(imported, linkers)
			if linked && !slices.Contains(linksFerretDB, p.path()) {
				t.Errorf("%s or its tests import %s, which takes a minute to link", p.path(), imported)
			}
		}
	}
}

func TestLinked(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		needs   []string // otherwise the case would prove nothing
		forbids []string
	}{
		"./cmd/bridge":     {[]string{stripe, natsClient}, append([]string{mongoDriver, natsServer, ferretDB}, testOnly...)},
		"./cmd/subscriber": {[]string{mongoDriver, natsClient}, append([]string{stripe, natsServer, ferretDB}, testOnly...)},
		"./cmd/standalone": {[]string{mongoDriver, natsClient, stripe, natsServer, ferretDB}, []string{
			"go.uber.org/goleak", "pgregory.net/rapid", "github.com/google/go-cmp", module + "/test",
		}},
		"./examples/go-nats":      {[]string{module + "/events", natsClient}, append([]string{watermill}, private...)},
		"./examples/go-watermill": {[]string{module + "/events", watermillNATS}, private},
		"./examples/entitlements": {[]string{module + "/events", natsClient}, append([]string{watermill}, private...)},
		"./examples/notifier":     {[]string{module + "/events", natsClient}, append([]string{watermill}, private...)},
		"./examples/provisioner":  {[]string{module + "/events", natsClient}, append([]string{watermill}, private...)},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			deps := list(t, "-deps", name)
			for _, need := range tt.needs {
				if !slices.ContainsFunc(deps, func(p goPackage) bool { return within(p.ImportPath, need) }) {
					t.Errorf("%s does not link %s", name, need)
				}
			}
			for _, p := range deps {
				if isOneOf(p.ImportPath, tt.forbids) {
					t.Errorf("%s links %s", name, p.ImportPath)
				}
			}
		})
	}
}

// The contract depends on nothing else. Go 1.27 has the other package as encoding/json/v2.
func TestEventsLinkTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	deps := list(t, "-deps", "./events")
	for _, p := range deps {
		if !p.Standard && p.ImportPath != module+"/events" && !within(p.ImportPath, jsonV2) {
			t.Errorf("events links %s", p.ImportPath)
		}
	}
	if !slices.ContainsFunc(deps, func(p goPackage) bool { return p.ImportPath == "encoding/json" }) {
		t.Error("go list found no dependencies")
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "./...") {
		if len(p.GoFiles) > 0 && p.Doc == "" || len(p.GoFiles) == 0 && !hasTestDoc(t, p) {
			t.Errorf("%s has no package comment", p.path())
		}
	}
}

// hasTestDoc looks into a package that has only tests, which go list does not do.
func hasTestDoc(t *testing.T, p goPackage) bool {
	t.Helper()
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if file.Doc.Text() != "" {
			return true
		}
	}
	return false
}

func TestMainIsWiringOnly(t *testing.T) {
	t.Parallel()
	const most = 100
	mains, err := filepath.Glob(filepath.Join(root(t), "cmd", "*", "main.go"))
	if err != nil || len(mains) == 0 {
		t.Fatalf("found no programs: %v", err)
	}
	for _, path := range mains {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(source, []byte("\n")); lines > most {
			t.Errorf("%s has %d lines, want at most %d", path, lines, most)
		}
	}
}

// list runs go list from the root of the module.
func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	touch(t)
	args = append([]string{"list", "-json=ImportPath,Dir,Doc,Standard,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports"}, args...)
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// touch opens every source file. go test caches a result until a file that the test
// has read changes, but it does not know what go list has read.
func touch(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(root(t), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "bin"):
			return fs.SkipDir
		case filepath.Ext(path) != ".go" && entry.Name() != "go.mod":
			return nil
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// qualified returns the import path of a name in the table.
func qualified(name string) string {
	if host, _, _ := strings.Cut(name, "/"); strings.Contains(host, ".") {
		return name
	}
	return module + "/" + name
}

// within reports whether a package is parent, is below it, or is a later major
// version of it.
func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}

func isOneOf(path string, parents []string) bool {
	return slices.ContainsFunc(parents, func(parent string) bool { return within(path, parent) })
}

// isStandard follows the go command: the first element of any other path has a dot.
func isStandard(path string) bool {
	host, _, _ := strings.Cut(path, "/")
	return !strings.Contains(host, ".")
}
