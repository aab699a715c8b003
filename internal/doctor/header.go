package doctor

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

var (
	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")
	similarName = regexp.MustCompile(`(?i)stripe[-_]?signature`) // HTTP_STRIPE_SIGNATURE, X-Stripe-Signature
)

// parseHeaders reads a JSON object of headers, or lines of Name: value up to the first empty line, as curl
// -v, proxies and logs print them. It skips lines that are not headers.
func parseHeaders(text string) http.Header {
	text = strings.TrimPrefix(text, "\ufeff")
	var object map[string]any
	h := http.Header{}
	if json.Unmarshal([]byte(text), &object) == nil {
		addObject(h, object)
		return h
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), ">")) // curl -v marks what it sends
		if line == "" && len(h) > 0 {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		if unquoted := strings.Trim(name, `"'`); unquoted != name { // as loggers print objects
			name, value = unquoted, strings.Trim(value, ` "',`)
		}
		if strings.Contains(line, ":") {
			addHeader(h, name, value)
		}
	}
	return h
}

// addObject also finds headers in the member "headers", where API gateways log them.
func addObject(h http.Header, object map[string]any) {
	for name, value := range object {
		switch value := value.(type) {
		case string:
			addHeader(h, name, value)
		case []any:
			for _, v := range value {
				addObject(h, map[string]any{name: v})
			}
		case map[string]any:
			if strings.EqualFold(name, "headers") {
				addObject(h, value)
			}
		}
	}
}

// addHeader keeps the case of a name with an underscore: HTTP servers do not write headers like that, and
// the report shows the name as it was captured.
func addHeader(h http.Header, name, value string) {
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case !headerName.MatchString(name):
	case strings.Contains(name, "_"):
		h[name] = append(h[name], value)
	default:
		h.Add(name, value)
	}
}

// headerChecks are patterns that a signature header must or must not match.
var headerChecks = []struct {
	pattern *regexp.Regexp
	must    bool
	fault   string
}{
	{regexp.MustCompile(`.`), true, "it is empty"},
	{regexp.MustCompile(`["']`), false, "it contains quotation marks"},
	{regexp.MustCompile(`[;%]`), false, "it contains ; or %, so it was rewritten or URL-encoded"},
	{regexp.MustCompile(`(^|,)[ \t]*t=[+-]?\d{1,18}[ \t]*(,|$)`), true, "it has no t with the time of the signature, a whole number of seconds"},
	{regexp.MustCompile(`\bt=.*\bt=`), false, "it has two t: two headers were joined"},
	{regexp.MustCompile(`(^|,)[ \t]*v1=[0-9A-Fa-f]{64}[ \t]*(,|$)`), true, "it has no v1 signature of 64 hexadecimal digits: it was cut off, masked in a log, or only v0 is left, which does not count"},
}

// headerFaults returns what is wrong with a signature header. It quotes nothing.
func headerFaults(header string) []string {
	var faults []string
	for _, check := range headerChecks {
		if check.pattern.MatchString(header) != check.must {
			faults = append(faults, check.fault)
		}
	}
	switch {
	case header == "":
		return faults[:1]
	case len(faults) == 0:
		return []string{"it is longer than the bridge accepts"}
	}
	return faults
}
