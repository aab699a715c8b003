package api

import (
	"bytes"
	"encoding/json"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	usualLimit = 10
	maxLimit   = 100
)

// list is a page as Stripe renders it.
type list struct {
	Object  string            `json:"object"`
	Data    []json.RawMessage `json:"data"`
	HasMore bool              `json:"has_more"`
	URL     string            `json:"url"`
}

func (r resource) list(c *call) (any, error) {
	match, err := r.match(c)
	if err != nil {
		return nil, err
	}
	p, err := c.pager()
	if err != nil {
		return nil, err
	}
	all := c.all(r.kind)
	if r.oldestFirst {
		all = backward(all)
	}
	things, more, found := p.page(all, match)
	if !found {
		return nil, missing(http.StatusBadRequest, p.param, r.kind, p.cursor)
	}
	answer := list{Object: "list", Data: []json.RawMessage{}, HasMore: more, URL: r.path}
	for _, t := range things {
		answer.Data = append(answer.Data, c.render(t))
	}
	return c.expanded(answer)
}

func (r resource) retrieve(c *call) (any, error) {
	if err := c.know("expand"); err != nil {
		return nil, err
	}
	id := c.request.PathValue("id")
	t, ok := c.find(r.kind, id)
	if !ok {
		return nil, missing(http.StatusNotFound, "id", r.kind, id)
	}
	return c.expanded(c.render(t))
}

// render renders an object in the version of the answer. The version of an event never
// changes.
func (c *call) render(t thing) json.RawMessage {
	switch {
	case t.delivery != nil:
		body := t.delivery.In(c.account.Version)
		if !c.server.cfg.Pending(t.ID) {
			body = bytes.Replace(body, []byte(`"pending_webhooks": 1`), []byte(`"pending_webhooks": 0`), 1)
		}
		return body
	case t.json != nil:
		body, err := json.Marshal(t.json)
		if err != nil {
			panic(err)
		}
		return body
	}
	return t.In(c.version)
}

// pager says which page to return.
type pager struct {
	limit  int
	param  string // starting_after, ending_before or ""
	cursor string
}

func (c *call) pager() (pager, error) {
	p := pager{limit: usualLimit}
	if text, ok := c.params.one("limit"); ok {
		n, err := strconv.Atoi(text)
		if err != nil {
			return p, invalid("limit", "Invalid integer: %s", text).coded("parameter_invalid_integer")
		}
		if n < 1 || n > maxLimit {
			return p, invalid("limit", "This value must be between 1 and %d.", maxLimit).coded("parameter_invalid_integer")
		}
		p.limit = n
	}
	for _, name := range []string{"starting_after", "ending_before"} {
		if id, ok := c.params.one(name); ok && p.param == "" {
			p.param, p.cursor = name, id
		} else if ok {
			return p, invalid(name, "You can only use one of starting_after and ending_before.")
		}
	}
	return p, nil
}

// page returns the matching objects after or before the cursor, whether there are more,
// and whether there is such a cursor. It need not match.
func (p pager) page(all iter.Seq[thing], match func(thing) bool) (page []thing, more, found bool) {
	within := p.param != "starting_after"
	for t := range all {
		if p.param == "ending_before" && t.ID == p.cursor {
			cut := max(len(page)-p.limit, 0)
			return page[cut:], cut > 0, true
		}
		if within && match(t) {
			page = append(page, t)
		}
		if p.param != "ending_before" && len(page) > p.limit {
			return page[:p.limit], true, true
		}
		within = within || t.ID == p.cursor
	}
	return page, false, within && p.param != "ending_before"
}

func backward(all iter.Seq[thing]) iter.Seq[thing] {
	things := slices.Collect(all)
	slices.Reverse(things)
	return slices.Values(things)
}

// expanded replaces ids by the objects that expand[] asks for.
func (c *call) expanded(answer any) (any, error) {
	paths := c.params["expand"]
	if len(paths) == 0 {
		return answer, nil
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	tree := decode(body)
	for _, path := range paths {
		if tree, err = c.expand(tree, strings.Split(path.value, "."), path.value); err != nil {
			return nil, err
		}
	}
	return tree, nil
}

func (c *call) expand(node any, path []string, whole string) (any, error) {
	var err error
	switch v := node.(type) {
	case []any:
		for i := range v {
			if v[i], err = c.expand(v[i], path, whole); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		if len(path) == 0 {
			return v, nil
		}
		member, ok := v[path[0]]
		if !ok {
			return nil, invalid("expand", "This property cannot be expanded (%s).", whole)
		}
		v[path[0]], err = c.expand(member, path[1:], whole)
	case string:
		t, ok := c.find("", v)
		if !ok {
			return nil, invalid("expand", "This property cannot be expanded (%s).", whole)
		}
		if node = decode(c.render(t)); len(path) > 0 {
			return c.expand(node, path, whole)
		}
	}
	return node, err
}

// decode keeps numbers as they are.
func decode(body []byte) (tree any) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		panic(err)
	}
	return tree
}
