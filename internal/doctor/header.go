package doctor

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")
	notLetter   = regexp.MustCompile(`[^a-z]`)
	v1Signature = regexp.MustCompile(`(^|,)v1=[0-9A-Fa-f]{64}(,|$)`)
)

// parseHeaders reads a JSON object of headers, or lines of Name: value up to the
// first empty line, as curl -v, proxies and logs print them. It skips lines that
// are not headers.
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

// addHeader keeps the case of a name with an underscore: HTTP servers do not
// write headers like that, and the report shows the name as it was captured.
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

// resemblesSignature finds HTTP_STRIPE_SIGNATURE, X-Stripe-Signature and the like.
func resemblesSignature(name string) bool {
	return strings.Contains(notLetter.ReplaceAllString(strings.ToLower(name), ""), "stripesignature")
}

// headerFaults returns what is wrong with a signature header. It quotes nothing.
func headerFaults(header string) []string {
	if header == "" {
		return []string{"it is empty"}
	}
	badPair, badTime := false, false
	values := map[string][]string{}
	for pair := range strings.SplitSeq(header, ",") {
		name, value, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		_, err := strconv.ParseInt(value, 10, 64)
		badTime = badTime || name == "t" && err != nil
		badPair = badPair || !found || strings.Contains(value, "=")
		values[name] = append(values[name], value)
	}
	isOther := func(stamp string) bool { return stamp != values["t"][0] }
	var faults []string
	for _, check := range []struct {
		fails bool
		fault string
	}{
		{strings.ContainsAny(header, " \t\r\n\"'"), "it contains white space or quotation marks"},
		{strings.ContainsAny(header, ";%"), "it contains ; or %, so it was rewritten or URL-encoded"},
		{badPair, "it is not a list of name=value, separated by single commas"},
		{len(values["t"]) == 0, "it has no t, the time of the signature"},
		{badTime, "its t is not a whole number of seconds"},
		{slices.ContainsFunc(values["t"], isOther), "it has two different t: two headers were joined"},
		{len(values["v1"]) == 0, "it has no v1 signature (v0 does not count: Stripe sends it in test mode, in addition to v1)"},
		{len(values["v1"]) > 0 && !v1Signature.MatchString(header), "its v1 is not 64 hexadecimal digits: it was cut off, or masked in a log"},
	} {
		if check.fails {
			faults = append(faults, check.fault)
		}
	}
	if len(faults) == 0 {
		faults = []string{"it is longer than the bridge accepts"}
	}
	return faults
}
