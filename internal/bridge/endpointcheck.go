package bridge

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripeapi"
)

const (
	// oldestVersion and newestVersion are those that the normalizer was tested with.
	oldestVersion = "2015-10-01"
	newestVersion = "2026-07-29.dahlia"

	wrong   = "wrong"
	warning = "warning"
)

// endpointFinding is something about an endpoint, and what to do.
type endpointFinding struct {
	Kind     string `json:"kind"`     // finding
	Severity string `json:"severity"` // wrong or warning
	Account  string `json:"account"`
	Endpoint string `json:"endpoint,omitempty"`
	Problem  string `json:"problem"`
	Cure     string `json:"cure"`
}

// endpointCheck compares the endpoints of one account with what is needed.
type endpointCheck struct {
	url  string // "" for every endpoint with the path
	path string
	mode string // live, test or any

	account  string
	findings []endpointFinding
}

func (c *endpointCheck) find(severity, endpoint, problem, cure string) {
	c.findings = append(c.findings, endpointFinding{"finding", severity, c.account, endpoint, problem, cure})
}

// run returns the endpoints that are checked.
func (c *endpointCheck) run(all []stripeapi.Endpoint) (ours []stripeapi.Endpoint) {
	for _, e := range all {
		if c.url == "" && hasPath(e.URL, c.path) || c.url != "" && sameURL(e.URL, c.url) {
			ours = append(ours, e)
		}
	}
	for _, e := range ours {
		c.check(e)
	}
	if len(ours) == 0 {
		c.find(wrong, "", fmt.Sprintf("none of %d endpoints is for %s", len(all), c.wanted()),
			"create it: bridge endpoint create --url https://your.host"+c.path+" --secret-file FILE")
		return nil
	}
	c.checkTogether(slices.DeleteFunc(slices.Clone(all), func(e stripeapi.Endpoint) bool {
		return !hasPath(e.URL, c.path) && !slices.ContainsFunc(ours, func(o stripeapi.Endpoint) bool { return o.ID == e.ID })
	}))
	return ours
}

func (c *endpointCheck) wanted() string {
	if c.url != "" {
		return c.url
	}
	return "the path " + c.path
}

func (c *endpointCheck) check(e stripeapi.Endpoint) {
	if e.Status != "enabled" {
		c.find(wrong, e.ID, "it is "+quoted(e.Status)+": Stripe sends nothing", "enable it in the Dashboard, then run bridge backfill for what it has missed, at most 30 days")
	}
	if !strings.HasPrefix(strings.ToLower(e.URL), "https://") {
		c.find(wrong, e.ID, "its address is not https://", "give the bridge a certificate, or a proxy with one, and change the address in the Dashboard")
	}
	if !hasPath(e.URL, c.path) {
		c.find(wrong, e.ID, "its path is not "+c.path+", where the bridge listens", "change the address in the Dashboard, or set WEBHOOK_PATH")
	}
	if live := events.Mode(e.Livemode); c.mode != normalize.Any && c.mode != live {
		c.find(wrong, e.ID, "its events are of "+live+" mode, which the bridge ignores", "check WEBHOOK_LIVEMODE and the API key")
	}
	if e.Application != "" {
		c.find(warning, e.ID, "it was created by the Connect application "+quoted(e.Application), "make sure that it is yours")
	}
	c.checkVersion(e)
	c.checkEvents(e)
}

// checkVersion accepts the account's default version, which Stripe does not name.
func (c *endpointCheck) checkVersion(e stripeapi.Endpoint) {
	switch version := e.APIVersion; {
	case version == "":
	case !regexp.MustCompile(`^\d{4}-\d\d-\d\d(\.[a-z]+)?$`).MatchString(version):
		c.find(warning, e.ID, "its API version is "+quoted(version)+", which is not a released one", "create an endpoint with --api-version "+newestVersion)
	case version < oldestVersion || version > newestVersion:
		c.find(warning, e.ID, fmt.Sprintf("its API version is %s, and this release was tested with %s to %s", version, oldestVersion, newestVersion),
			"look for warnings in the messages (data.warnings), and for a newer release")
	}
}

func (c *endpointCheck) checkEvents(e stripeapi.Endpoint) {
	for _, group := range endpointEvents() {
		missing := group.missing(e.EnabledEvents)
		if len(missing) == 0 {
			continue
		}
		severity := warning
		if group.required {
			severity = wrong
		}
		c.find(severity, e.ID, "it does not select "+strings.Join(missing, ", ")+": "+group.without, "select them in the Dashboard")
	}
	switch {
	case slices.Contains(e.EnabledEvents, everyEvent):
		c.find(warning, e.ID, "it selects all events: many more than needed, and "+beforeFinalizing+" too, for whose answer Stripe waits before it collects",
			"select single types in the Dashboard, unless you need all")
	case slices.Contains(e.EnabledEvents, beforeFinalizing):
		c.find(warning, e.ID, "it selects "+beforeFinalizing+": while the bridge is down, Stripe waits up to three days to finalize invoices", "take it out in the Dashboard, unless you need it")
	}
}

// checkTogether finds endpoints that deliver the same events.
func (c *endpointCheck) checkTogether(all []stripeapi.Endpoint) {
	for i, e := range all {
		for _, other := range all[:i] {
			if e.Status == "enabled" && other.Status == "enabled" && overlap(e.EnabledEvents, other.EnabledEvents) {
				c.find(warning, e.ID, "it delivers the same events as "+other.ID+versionsOf(e, other),
					"delete one, unless one is for connected accounts, which Stripe does not say, or you are upgrading the API version")
			}
		}
	}
}

func versionsOf(a, b stripeapi.Endpoint) string {
	if a.APIVersion == b.APIVersion {
		return ""
	}
	return fmt.Sprintf(" in another API version (%s, %s)", versionName(a.APIVersion), versionName(b.APIVersion))
}

func versionName(version string) string {
	if version == "" {
		return "the account's"
	}
	return quoted(version)
}

func overlap(a, b []string) bool {
	return slices.Contains(a, everyEvent) || slices.Contains(b, everyEvent) ||
		slices.ContainsFunc(a, func(t string) bool { return slices.Contains(b, t) })
}

// quoted returns a word of Stripe's answer, which may hold anything.
func quoted(word string) string { return fmt.Sprintf("%.60q", word) }

func hasPath(address, path string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Path == path
}

// sameURL reports whether two addresses reach the same place.
func sameURL(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && plainURL(x) == plainURL(y)
}

func plainURL(u *url.URL) string {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	scheme := strings.ToLower(u.Scheme)
	usual := map[string]string{"https": "443", "http": "80"}[scheme]
	if port := u.Port(); port != "" && port != usual {
		host += ":" + port
	}
	return scheme + "://" + host + strings.TrimSuffix(u.EscapedPath(), "/") + "?" + u.RawQuery
}
