package kit_test

import (
	"testing"

	"github.com/billbus/billbus/test/kit"
)

func TestMetric(t *testing.T) {
	t.Parallel()
	const text = "# HELP a_total b\na_total{x=\"1 2\"} 3\na_total{x=\"y\"} 4e1\na_total_more 7\nb 0\n"
	for name, want := range map[string]float64{"a_total": 43, "b": 0} {
		if got, ok := kit.Metric(text, name); !ok || got != want {
			t.Errorf("%s: got %v, %v, want %v", name, got, ok, want)
		}
	}
	if _, ok := kit.Metric(text, "a"); ok {
		t.Error("found a metric that is not there")
	}
}
