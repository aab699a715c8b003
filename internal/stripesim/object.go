package stripesim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Account is the account of all histories. It occurs in ids and URLs only.
const Account = account

// listedByAPI is how many items Stripe's API includes in a subscription.
const listedByAPI = 10

// Object is one state of an object that Stripe's API returns.
type Object struct {
	Type    string // its "object", such as subscription
	ID      string
	Created int64 // in Unix seconds
	Since   int64 // when it got into this state, in Unix seconds
	Gone    bool  // it does not exist in this state

	// What lists can be filtered by. An object of another type has "".
	Status, Customer, Subscription, Product, LookupKey, Email, TestClock string

	model    model
	livemode bool
}

// model is what an object is rendered from.
type model interface {
	render(s shape, livemode bool) object
}

// In renders the object in an API version. A version that the simulator does not know is
// rendered as the one before it.
func (o Object) In(version string) []byte {
	s := shapeOf(version)
	s.listed = listedByAPI
	return render(o.model.render(s, o.livemode))
}

// In renders the event as an endpoint of another API version gets it; its own version if
// it is "".
func (d Delivery) In(version string) []byte {
	if version == "" || version == d.APIVersion || d.news == nil {
		return d.Body
	}
	var sent struct{ Request any }
	if err := json.Unmarshal(d.Body, &sent); err != nil {
		panic(fmt.Sprintf("stripesim: reading the event %s: %v", d.ID, err))
	}
	s := shapeOf(version)
	s.listed = d.news.listed
	return render(object{
		"id": d.ID, "object": "event", "api_version": version, "created": d.Created.Unix(), "data": d.news.data(s),
		"livemode": d.news.livemode, "pending_webhooks": int64(1), "request": s.request(sent.Request), "type": d.Type,
	})
}

// request renders the request of an event from another version.
func (s shape) request(of any) any {
	request, isObject := of.(map[string]any)
	switch {
	case s.era == era2015 && isObject:
		return request["id"]
	case s.era > era2015 && !isObject:
		return object{"id": of, "idempotency_key": nil}
	}
	return of
}

// shapeOf returns how a version is rendered: as the newest that is not newer.
func shapeOf(version string) shape {
	all := shapes()
	i, _ := slices.BinarySearchFunc(all, version, func(s shape, v string) int {
		if s.version <= v {
			return -1
		}
		return 1
	})
	return all[max(i-1, 1)] // the first one has no items
}

// news is what an event is about, to render it in other versions.
type news struct {
	of       model
	was      *subscription // before the change; nil if nothing was changed
	listed   int
	livemode bool
}

func (n news) data(s shape) object {
	after := n.of.render(s, n.livemode)
	data := object{"object": after}
	if n.was != nil {
		data["previous_attributes"] = previous(s.before(n.was, after, n.livemode), after, s.elementwise())
	}
	return data
}

// tell says what the last event is about, in each of its renderings.
func (l *life) tell(of model, was *subscription) {
	last := l.deliveries[len(l.deliveries)-1].ID
	for i := len(l.deliveries) - 1; i >= 0 && l.deliveries[i].ID == last; i-- {
		l.deliveries[i].news = &news{of: of, was: was, listed: l.shape.listed, livemode: l.livemode}
	}
}

// tellChange says that the last event is about the subscription, and keeps its state.
func (l *life) tellChange(changed bool) {
	now := l.sub
	var before *subscription
	if changed {
		was := l.was
		before = &was
	}
	l.tell(&now, before)
	l.keepSubscription()
}

// keep adds a state of an object.
func (l *life) keep(o Object) {
	o.Since, o.livemode = l.stamped(l.now).Unix(), l.livemode
	l.objects = append(l.objects, o)
}

// emitAbout adds an event of another object, and the state of the object.
func (l *life) emitAbout(kind string, o Object) {
	l.emitOther(kind, o.model.render(l.shape, l.livemode))
	l.tell(o.model, nil)
	l.keep(o)
}

// keepSubscription adds the states of the subscription and of what depends on it. What it
// no longer has is gone.
func (l *life) keepSubscription() {
	m := l.sub
	l.keep(Object{
		Type: "subscription", ID: m.id, Created: m.created, model: &m,
		Status: m.status, Customer: m.customer, TestClock: m.testClock,
	})
	had := l.parts
	l.parts = m.parts()
	for _, o := range had {
		if o.Gone = !hasID(l.parts, o); o.Gone {
			l.keep(o)
		}
	}
	for _, o := range l.parts {
		if o.Type == "subscription_item" || !hasID(had, o) {
			l.keep(o)
		}
	}
	for _, it := range m.items {
		if !slices.Contains(l.sold, it.price) {
			l.sold = append(l.sold, it.price)
			l.keepPrice(it.price)
		}
	}
}

func hasID(all []Object, o Object) bool {
	return slices.ContainsFunc(all, func(other Object) bool { return other.ID == o.ID })
}

// parts returns the items, and what they entitle to.
func (m *subscription) parts() (parts []Object) {
	for _, it := range m.items {
		parts = append(parts, Object{
			Type: "subscription_item", ID: it.id, Created: it.created, model: &subscriptionItem{it, m}, Subscription: m.id,
		})
		if e := entitlementOf(it.price, m); access(m.status) != "none" && !hasID(parts, e) {
			parts = append(parts, e)
		}
	}
	return parts
}

func (l *life) keepPrice(p price) {
	l.keep(Object{Type: "price", ID: p.id, Created: p.created, model: p, Product: p.product, LookupKey: p.lookupKey})
	l.keep(Object{Type: "product", ID: p.product, Created: p.created, model: product{p}})
	l.keep(Object{Type: "entitlements.feature", ID: featureID(p), Created: p.created, model: feature{p}, LookupKey: featureKey(p)})
}

func (m *subscription) render(s shape, livemode bool) object { return s.subscription(m, livemode) }

func (p price) render(s shape, livemode bool) object { return s.price(p, livemode) }

func (c *customer) render(s shape, livemode bool) object { return s.customer(c, livemode) }

type subscriptionItem struct {
	item item
	of   *subscription
}

func (i *subscriptionItem) render(s shape, livemode bool) object {
	return s.item(i.item, i.of, livemode)
}

type subscriptionInvoice struct {
	invoice  invoice
	of       *subscription
	customer *customer
}

func (i *subscriptionInvoice) render(s shape, livemode bool) object {
	return s.invoice(&i.invoice, i.of, i.customer, livemode)
}

type session struct {
	id, user string
	of       *subscription
	customer *customer
}

func (c *session) render(s shape, livemode bool) object {
	return s.checkoutSession(c.id, c.user, c.of, c.customer, livemode)
}

type product struct{ price price }

func (p product) render(_ shape, livemode bool) object {
	return object{
		"id": p.price.product, "object": "product", "active": true, "created": p.price.created, "default_price": nil,
		"description": nil, "images": list{}, "livemode": livemode, "metadata": object{}, "name": p.price.name,
		"package_dimensions": nil, "shippable": nil, "statement_descriptor": nil, "tax_code": nil, "type": "service",
		"unit_label": nil, "updated": p.price.created, "url": nil,
	}
}

// Every product has one feature.
type feature struct{ price price }

func featureID(p price) string { return "feat_test_" + p.name }

func featureKey(p price) string { return strings.ToLower(p.name) }

func (f feature) render(_ shape, livemode bool) object {
	return object{
		"id": featureID(f.price), "object": "entitlements.feature", "active": true, "livemode": livemode,
		"lookup_key": featureKey(f.price), "metadata": object{}, "name": f.price.name,
	}
}

type entitlement struct {
	id    string
	price price
}

func entitlementOf(p price, m *subscription) Object {
	id := "ent_test_" + strings.TrimPrefix(m.id, "sub_") + p.name
	return Object{
		Type: "entitlements.active_entitlement", ID: id, Created: m.created, model: entitlement{id, p},
		Customer: m.customer, LookupKey: featureKey(p),
	}
}

func (e entitlement) render(_ shape, livemode bool) object {
	return object{
		"id": e.id, "object": "entitlements.active_entitlement", "feature": featureID(e.price),
		"livemode": livemode, "lookup_key": featureKey(e.price),
	}
}
