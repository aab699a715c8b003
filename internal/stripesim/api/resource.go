package api

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// resource is a list of objects of one kind, which can also be retrieved by id.
type resource struct {
	path, kind  string
	filters     map[string]filter
	needs       string // a filter that must be given
	oldestFirst bool
}

// filter makes the condition that a parameter asks for, or that holds without it. A nil
// condition is met by all objects.
type filter func(c *call, given []param) (func(thing) bool, error)

func resources() []resource {
	var (
		customer     = equal(func(t thing) string { return t.Customer })
		status       = equal(func(t thing) string { return t.Status })
		subscription = equal(func(t thing) string { return t.Subscription })
		lookupKey    = equal(func(t thing) string { return t.LookupKey })
	)
	return []resource{
		{path: "/v1/events", kind: "event", filters: map[string]filter{
			"created": created, "type": eventType, "types": eventType, "delivery_success": delivered,
		}},
		{path: "/v1/subscriptions", kind: "subscription", filters: map[string]filter{
			"created": created, "customer": customer, "status": subscriptionStatus, "test_clock": testClock,
		}},
		{path: "/v1/subscription_items", kind: "subscription_item", needs: "subscription", oldestFirst: true, filters: map[string]filter{
			"subscription": subscription,
		}},
		{path: "/v1/customers", kind: "customer", filters: map[string]filter{
			"created": created, "email": equal(func(t thing) string { return t.Email }), "test_clock": testClock,
		}},
		{path: "/v1/products", kind: "product", filters: map[string]filter{
			"active": active, "created": created, "ids": equal(func(t thing) string { return t.ID }),
		}},
		{path: "/v1/prices", kind: "price", filters: map[string]filter{
			"active": active, "created": created, "lookup_keys": lookupKey, "product": equal(func(t thing) string { return t.Product }),
		}},
		{path: "/v1/invoices", kind: "invoice", filters: map[string]filter{
			"created": created, "customer": customer, "status": status, "subscription": subscription,
		}},
		{path: "/v1/checkout/sessions", kind: "checkout.session", filters: map[string]filter{
			"created": created, "customer": customer, "status": status, "subscription": subscription,
		}},
		{path: "/v1/entitlements/features", kind: "entitlements.feature", filters: map[string]filter{"lookup_key": lookupKey}},
		{path: "/v1/entitlements/active_entitlements", kind: "entitlements.active_entitlement", needs: "customer", filters: map[string]filter{
			"customer": customer,
		}},
		{path: endpointsPath, kind: "webhook_endpoint"},
		{path: "/v1/accounts", kind: "account"},
	}
}

// match returns the condition of all parameters together.
func (r resource) match(c *call) (func(thing) bool, error) {
	known := []string{"limit", "starting_after", "ending_before", "expand"}
	if err := c.know(slices.AppendSeq(known, maps.Keys(r.filters))...); err != nil {
		return nil, err
	}
	if r.needs != "" {
		if err := c.need(r.needs); err != nil {
			return nil, err
		}
	}
	var all []func(thing) bool
	for _, name := range slices.Sorted(maps.Keys(r.filters)) {
		condition, err := r.filters[name](c, c.params[name])
		if err != nil {
			return nil, err
		}
		if condition != nil {
			all = append(all, condition)
		}
	}
	return func(t thing) bool {
		return !slices.ContainsFunc(all, func(condition func(thing) bool) bool { return !condition(t) })
	}, nil
}

// need checks that a parameter names an object that exists.
func (c *call) need(kind string) error {
	id, ok := c.params.one(kind)
	if !ok {
		return invalid(kind, "Missing required param: %s.", kind).coded("parameter_missing")
	}
	if _, ok := c.find(kind, id); !ok {
		return missing(http.StatusBadRequest, kind, kind, id)
	}
	return nil
}

// equal is the filter by a field that has one of the given values.
func equal(field func(thing) string) filter {
	return func(_ *call, given []param) (func(thing) bool, error) {
		if len(given) == 0 {
			return nil, nil
		}
		return func(t thing) bool {
			return slices.ContainsFunc(given, func(p param) bool { return p.value == field(t) })
		}, nil
	}
}

// created is the filter by the time of creation, or by limits of it.
func created(_ *call, given []param) (func(thing) bool, error) {
	holds := map[string]func(a, b int64) bool{
		"":   func(a, b int64) bool { return a == b },
		"gt": func(a, b int64) bool { return a > b }, "gte": func(a, b int64) bool { return a >= b },
		"lt": func(a, b int64) bool { return a < b }, "lte": func(a, b int64) bool { return a <= b },
	}
	var limits []func(int64) bool
	for _, p := range given {
		limit, err := strconv.ParseInt(p.value, 10, 64)
		compare, ok := holds[p.op]
		if err != nil || !ok {
			return nil, invalid("created", "Invalid integer: %s", p.value).coded("parameter_invalid_integer")
		}
		limits = append(limits, func(at int64) bool { return compare(at, limit) })
	}
	return func(t thing) bool {
		return !slices.ContainsFunc(limits, func(limit func(int64) bool) bool { return !limit(t.Created) })
	}, nil
}

// active is a filter because nothing is ever archived.
func active(_ *call, given []param) (func(thing) bool, error) {
	return func(thing) bool { return len(given) == 0 || given[0].value == "true" }, nil
}

// subscriptionStatus leaves out canceled subscriptions unless they are asked for.
func subscriptionStatus(_ *call, given []param) (func(thing) bool, error) {
	words := []string{"active", "past_due", "unpaid", "canceled", "incomplete", "incomplete_expired", "trialing", "paused"}
	if len(given) == 0 {
		return func(t thing) bool { return t.Status != "canceled" }, nil
	}
	switch want := given[0].value; {
	case want == "all":
		return nil, nil
	case want == "ended":
		return func(t thing) bool { return t.Status == "canceled" || t.Status == "incomplete_expired" }, nil
	case !slices.Contains(words, want):
		return nil, invalid("status", "Invalid status: must be one of %s, all or ended", strings.Join(words, ", "))
	default:
		return func(t thing) bool { return t.Status == want }, nil
	}
}

// testClock leaves out objects of test clocks unless the clock or the customer is given.
func testClock(c *call, given []param) (func(thing) bool, error) {
	want, _ := c.params.one("test_clock")
	if _, ofCustomer := c.params.one("customer"); ofCustomer && len(given) == 0 {
		return nil, nil
	}
	return func(t thing) bool { return t.TestClock == want }, nil
}

// eventType accepts names, and groups of them that end with *.
func eventType(c *call, given []param) (func(thing) bool, error) {
	if _, both := c.params["type"]; both && c.params["types"] != nil {
		return nil, invalid("types", "You may pass either type or types, but not both.")
	}
	if len(given) == 0 {
		return nil, nil
	}
	return func(t thing) bool {
		return slices.ContainsFunc(given, func(p param) bool {
			group, isGroup := strings.CutSuffix(p.value, "*")
			return t.delivery.Type == p.value || isGroup && strings.HasPrefix(t.delivery.Type, group)
		})
	}, nil
}

func delivered(c *call, given []param) (func(thing) bool, error) {
	if len(given) == 0 {
		return nil, nil
	}
	want, err := strconv.ParseBool(given[0].value)
	if err != nil {
		return nil, invalid("delivery_success", "Invalid boolean: %s", given[0].value)
	}
	return func(t thing) bool { return c.server.cfg.Pending(t.ID) != want }, nil
}

// param is one value of a parameter, and what is in brackets after its name.
type param struct{ op, value string }

type params map[string][]param

var (
	paramForm   = regexp.MustCompile(`^(\w+)(?:\[([^\[\]]*)\])?$`)
	versionForm = regexp.MustCompile(`^\d{4}-\d\d-\d\d(\.[a-z]+)?$`)
)

func readParams(form url.Values) params {
	all := params{}
	for name, values := range form {
		op := ""
		if match := paramForm.FindStringSubmatch(name); match != nil {
			name, op = match[1], match[2]
		}
		for _, value := range values {
			all[name] = append(all[name], param{op, value})
		}
	}
	return all
}

func (p params) one(name string) (string, bool) {
	if len(p[name]) == 0 {
		return "", false
	}
	return p[name][0].value, true
}

// know refuses parameters other than these.
func (c *call) know(names ...string) error {
	for name := range c.params {
		if !slices.Contains(names, name) {
			return invalid(name, "Received unknown parameter: %s", name).coded("parameter_unknown")
		}
	}
	return nil
}
