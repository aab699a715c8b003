package deploy_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metricsql"
	"go.yaml.in/yaml/v3"

	"github.com/billbus/billbus/internal/ops"
)

func decodeYAML(t *testing.T, path string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, path)), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// prometheus is the part of prometheus.yml that the tests read.
type prometheus struct {
	RuleFiles     []string `yaml:"rule_files"`
	ScrapeConfigs []struct {
		JobName       string `yaml:"job_name"`
		MetricsPath   string `yaml:"metrics_path"`
		StaticConfigs []struct {
			Targets []string
		} `yaml:"static_configs"`
	} `yaml:"scrape_configs"`
}

func loadPrometheus(t *testing.T) prometheus {
	t.Helper()
	var conf prometheus
	decodeYAML(t, mounted(t, load(t).Services["prometheus"], "/etc/prometheus/prometheus.yml"), &conf)
	return conf
}

func TestPrometheusScrapesEveryProgram(t *testing.T) {
	t.Parallel()
	targets := map[string]string{}
	for _, job := range loadPrometheus(t).ScrapeConfigs {
		if job.MetricsPath != "" && job.MetricsPath != "/metrics" {
			t.Errorf("%s: got metrics_path %s, want /metrics", job.JobName, job.MetricsPath)
		}
		for _, static := range job.StaticConfigs {
			for _, target := range static.Targets {
				targets[job.JobName] = target
			}
		}
	}
	for _, p := range programs(t) {
		host, number, err := net.SplitHostPort(p.admin)
		if err != nil {
			t.Fatal(err)
		}
		if want := p.name + ":" + number; targets[p.name] != want {
			t.Errorf("%s: got target %q, want %s", p.name, targets[p.name], want)
		}
		if host != "0.0.0.0" || !reaches(load(t).Services["prometheus"], p.service) {
			t.Errorf("%s: Prometheus cannot reach %s", p.name, p.admin)
		}
	}
}

// query is an expression and the place where it is used.
type query struct {
	place string
	text  string
	// labels are those of its result that texts use.
	labels []string
}

// rules is a file of rules.
type rules struct {
	Groups []struct {
		Rules []struct {
			Alert       string
			Expr        string
			For         string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

func loadRules(t *testing.T, path string) rules {
	t.Helper()
	var file rules
	decodeYAML(t, mounted(t, load(t).Services["prometheus"], path), &file)
	return file
}

// alerts reads the rules that prometheus.yml names.
func alerts(t *testing.T) []query {
	t.Helper()
	var queries []query
	for _, path := range loadPrometheus(t).RuleFiles {
		file := loadRules(t, path)
		for _, group := range file.Groups {
			for _, rule := range group.Rules {
				complete := rule.Alert != "" && rule.For != "" && rule.Annotations["summary"] != "" && rule.Annotations["description"] != ""
				if !complete || !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) {
					t.Errorf("alert %s lacks its for, severity, summary or description", rule.Alert)
				}
				text := rule.Annotations["summary"] + rule.Annotations["description"]
				queries = append(queries, query{"alert " + rule.Alert, rule.Expr, submatches(`\$labels\.(\w+)`, text)})
			}
		}
	}
	return queries
}

// dashboard reads the queries of the dashboard, with their variables filled in as Grafana does.
func dashboard(t *testing.T) []query {
	t.Helper()
	var board struct {
		Panels []struct {
			Title      string
			Type       string
			Datasource struct{ UID string }
			Targets    []struct{ Expr, LegendFormat string }
		}
	}
	file := mounted(t, load(t).Services["grafana"], "/etc/grafana/dashboards/billbus.json")
	if err := json.Unmarshal([]byte(read(t, file)), &board); err != nil {
		t.Fatal(err)
	}
	var queries []query
	for _, panel := range board.Panels {
		if panel.Type != "row" && (panel.Datasource.UID != datasource(t).UID || len(panel.Targets) == 0) {
			t.Errorf("panel %s: got data source %q, want the provisioned one and queries", panel.Title, panel.Datasource.UID)
		}
		for _, target := range panel.Targets {
			text := strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")
			queries = append(queries, query{"panel " + panel.Title, text, submatches(`\{\{\s*(\w+)\s*\}\}`, target.LegendFormat)})
		}
	}
	return queries
}

func submatches(pattern, text string) []string {
	var found []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// source is Grafana's data source.
type source struct{ UID, URL string }

func datasource(t *testing.T) source {
	t.Helper()
	var file struct{ Datasources []source }
	folder := mounted(t, load(t).Services["grafana"], "/etc/grafana/provisioning/datasources")
	decodeYAML(t, filepath.Join(folder, "prometheus.yml"), &file)
	if len(file.Datasources) != 1 {
		t.Fatalf("got %d data sources, want one", len(file.Datasources))
	}
	return file.Datasources[0]
}

func TestGrafanaProvisioningIsComplete(t *testing.T) {
	t.Parallel()
	services := load(t).Services
	asked, err := url.Parse(datasource(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	if asked.Host != "prometheus:9090" || !reaches(services["grafana"], services["prometheus"]) {
		t.Errorf("got data source %s, want Prometheus", asked)
	}
	var file struct {
		Providers []struct{ Options struct{ Path string } }
	}
	decodeYAML(t, mounted(t, services["grafana"], "/etc/grafana/provisioning/dashboards/provider.yml"), &file)
	if len(file.Providers) != 1 || file.Providers[0].Options.Path != "/etc/grafana/dashboards" {
		t.Errorf("got %+v, want the folder of the dashboard", file.Providers)
	}
}

func TestAlertsUseExportedMetrics(t *testing.T) {
	t.Parallel()
	e := newExports(t)
	queries := alerts(t)
	if len(queries) < 5 {
		t.Errorf("found %d alerts only", len(queries))
	}
	for _, q := range queries {
		e.check(t, q)
	}
}

func TestDashboardUsesExportedMetrics(t *testing.T) {
	t.Parallel()
	e := newExports(t)
	queries := dashboard(t)
	if len(queries) < 10 {
		t.Errorf("found %d queries only", len(queries))
	}
	for _, q := range queries {
		e.check(t, q)
	}
}

// exports is everything that Prometheus scrapes.
type exports struct {
	labels   map[string][]string // by name of the sample
	jobs     []string
	literals map[string]bool // strings in the source code
}

func newExports(t *testing.T) exports {
	t.Helper()
	e := exports{labels: samples(t), literals: literals(t)}
	for _, job := range loadPrometheus(t).ScrapeConfigs {
		e.jobs = append(e.jobs, job.JobName)
	}
	// Prometheus adds this sample, and these labels to each.
	e.labels["up"] = nil
	for name := range e.labels {
		e.labels[name] = append(e.labels[name], "job", "instance")
	}
	return e
}

// samples calls every method of the metrics once, and returns the labels of each exported sample.
func samples(t *testing.T) map[string][]string {
	t.Helper()
	metrics := ops.NewMetrics()
	for name, method := range reflect.ValueOf(metrics).Methods() {
		var args []reflect.Value
		for in := range method.Type().Ins() {
			args = append(args, argument(in))
		}
		if name.Name != "Handler" {
			method.Call(args)
		}
	}
	w := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	labels := map[string][]string{}
	for _, match := range regexp.MustCompile(`(?m)^(\w+)(\{.*\})? `).FindAllStringSubmatch(w.Body.String(), -1) {
		labels[match[1]] = submatches(`(\w+)="`, match[2])
	}
	if len(labels["billbus_webhooks_total"]) != 1 {
		t.Fatalf("got %q, want samples with their labels", labels)
	}
	return labels
}

// TestKnownSeriesExistFromTheStart reads the values of the labels from docs/contract.md.
func TestKnownSeriesExistFromTheStart(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	ops.NewMetrics().Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	count := 0
	rows := regexp.MustCompile("(?m)^\\| `(billbus_\\w+)` \\| `(\\w+)`(.*)$")
	for _, row := range rows.FindAllStringSubmatch(read(t, filepath.Join(root, "docs/contract.md")), -1) {
		values := regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(row[3], "")
		for _, value := range submatches("`(\\w+)`", values) {
			count++
			if want := fmt.Sprintf("\n%s{%s=%q} 0\n", row[1], row[2], value); !strings.Contains(w.Body.String(), want) {
				t.Errorf("got no line %q", strings.TrimSpace(want))
			}
		}
	}
	if count < 30 {
		t.Errorf("found %d series only", count)
	}
}

func argument(in reflect.Type) reflect.Value {
	if in.Kind() == reflect.String {
		return reflect.ValueOf("x").Convert(in)
	}
	if in == reflect.TypeFor[time.Duration]() {
		return reflect.ValueOf(time.Second)
	}
	return reflect.Zero(in)
}

// literals returns every string in the source of a package without its tests. Outcomes and reasons
// are among them.
func literals(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, folder := range []string{"events", "handlers", "internal/bridge", "internal/fault", "internal/ops", "internal/stripehook"} {
		files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("found no source in %s: %v", folder, err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				addLiterals(t, file, found)
			}
		}
	}
	return found
}

func addLiterals(t *testing.T, path string, to map[string]bool) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for node := range ast.Preorder(file) {
		if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil {
				to[text] = true
			}
		}
	}
}

// functions are the functions of Prometheus in use. The parser accepts more than Prometheus has.
var functions = []string{"absent", "changes", "deriv", "histogram_quantile", "increase", "max_over_time", "rate", "vector"}

// check reports what is wrong with a query.
func (e exports) check(t *testing.T, q query) {
	t.Helper()
	fault := func(format string, args ...any) {
		t.Errorf("%s: %s\n%s", q.place, fmt.Sprintf(format, args...), q.text)
	}
	parsed, err := metricsql.Parse(q.text)
	if err != nil {
		fault("%v", err)
		return
	}
	var known []string
	grouped := slices.Clone(q.labels)
	metricsql.VisitAll(parsed, func(expr metricsql.Expr) {
		switch expr := expr.(type) {
		case *metricsql.MetricExpr:
			known = append(known, e.metric(expr, fault)...)
		case *metricsql.ModifierExpr:
			grouped = append(grouped, expr.Args...)
		case *metricsql.FuncExpr:
			function(expr, fault)
		}
	})
	if len(known) == 0 {
		fault("it uses no metric")
	}
	for _, label := range grouped {
		if !slices.Contains(known, label) {
			fault("no metric in it has the label %s", label)
		}
	}
}

// metric checks the name and the labels in a query, and returns all labels of the metric.
func (e exports) metric(expr *metricsql.MetricExpr, fault func(string, ...any)) []string {
	var known []string
	for _, filters := range expr.LabelFilterss {
		name := filters[0].Value
		labels, ok := e.labels[name]
		if !ok || filters[0].Label != "__name__" {
			fault("%s is not exported", name)
		}
		for _, filter := range filters[1:] {
			if !slices.Contains(labels, filter.Label) {
				fault("%s has no label %s", name, filter.Label)
			}
			e.values(filter, fault)
		}
		known = append(known, labels...)
	}
	return known
}

func (e exports) values(filter metricsql.LabelFilter, fault func(string, ...any)) {
	for value := range strings.SplitSeq(filter.Value, "|") {
		if filter.Label == "job" && !slices.Contains(e.jobs, value) || filter.Label != "job" && !e.literals[value] {
			fault("%s is never %q", filter.Label, value)
		}
	}
}

// function refuses functions that only the parser has.
func function(expr *metricsql.FuncExpr, fault func(string, ...any)) {
	if !slices.Contains(functions, expr.Name) {
		fault("unknown function %s: if Prometheus has it, add it to the list", expr.Name)
	}
	if !metricsql.IsRollupFunc(expr.Name) {
		return
	}
	if rollup, ok := expr.Args[0].(*metricsql.RollupExpr); !ok || rollup.Window == nil {
		fault("%s needs a range in brackets", expr.Name)
	}
}
