package kit

import (
	"strconv"
	"strings"
)

// Metric returns the sum of a metric, and whether there is one, in Prometheus' text format.
func Metric(text, name string) (sum float64, ok bool) {
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(strings.TrimSpace(line), name)
		if !found || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err == nil {
			sum, ok = sum+value, true
		}
	}
	return sum, ok
}
