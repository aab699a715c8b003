package mongotest

import (
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// filter reports whether it finds a document.
type filter func(doc bson.Raw) bool

// filterOf returns the filter that a query is.
func filterOf(query bson.Raw) (filter, error) {
	var conditions []filter
	for _, e := range elements(query) {
		condition, err := conditionOf(e.Key(), e.Value())
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, condition)
	}
	return every(conditions), nil
}

func every(conditions []filter) filter {
	return func(doc bson.Raw) bool {
		return !slices.ContainsFunc(conditions, func(holds filter) bool { return !holds(doc) })
	}
}

func some(conditions []filter) filter {
	return func(doc bson.Raw) bool {
		return slices.ContainsFunc(conditions, func(holds filter) bool { return holds(doc) })
	}
}

func conditionOf(key string, value bson.RawValue) (filter, error) {
	switch {
	case key == "$and":
		list, err := filtersOf(key, value)
		return every(list), err
	case key == "$or":
		list, err := filtersOf(key, value)
		return some(list), err
	case strings.HasPrefix(key, "$"):
		return nil, badValue("unknown top level operator: %s", key)
	}
	at, err := pathOf(key)
	if err != nil {
		return nil, err
	}
	operators, err := operatorsOf(value)
	if err != nil {
		return nil, err
	}
	conditions := make([]filter, len(operators))
	for i, op := range operators {
		if conditions[i], err = op.test(at); err != nil {
			return nil, err
		}
	}
	return every(conditions), nil
}

func filtersOf(key string, value bson.RawValue) ([]filter, error) {
	list, err := documents(key, value)
	if err == nil && len(list) == 0 {
		err = badValue("%s must be a nonempty array", key)
	}
	if err != nil {
		return nil, err
	}
	filters := make([]filter, len(list))
	for i, query := range list {
		if filters[i], err = filterOf(query); err != nil {
			return nil, err
		}
	}
	return filters, nil
}

// operator is a condition on one value.
type operator struct {
	name    string
	operand bson.RawValue
}

// operatorsOf returns the operators of a condition. A plain value is one that is equal.
func operatorsOf(value bson.RawValue) ([]operator, error) {
	doc, ok := value.DocumentOK()
	if !ok {
		return []operator{{"$eq", value}}, nil
	}
	var operators []operator
	for _, e := range elements(doc) {
		operators = append(operators, operator{e.Key(), e.Value()})
	}
	if len(operators) == 0 || !strings.HasPrefix(operators[0].name, "$") {
		return nil, badValue("comparing with documents is not supported")
	}
	return operators, nil
}

// test returns the condition on what is at a path. It holds for an array if it does for an
// element.
func (op operator) test(at path) (filter, error) {
	operand := op.operand
	var test func(value bson.RawValue) bool
	switch op.name {
	case "$exists":
		want, ok := operand.BooleanOK()
		if !ok {
			return nil, badValue("$exists must be a boolean")
		}
		return func(doc bson.Raw) bool { return slices.ContainsFunc(at.values(doc), isThere) == want }, nil
	case "$in":
		list, err := operandsOf(operand)
		if err != nil {
			return nil, err
		}
		test = func(value bson.RawValue) bool {
			return slices.ContainsFunc(list, func(one bson.RawValue) bool { return equal(value, one) })
		}
	default:
		holds, ok := comparisons[op.name]
		if !ok {
			return nil, badValue("unknown operator: %s", op.name)
		}
		if err := checkOperand(operand); err != nil {
			return nil, err
		}
		test = func(value bson.RawValue) bool {
			return rank(value.Type) == rank(operand.Type) && holds(compare(value, operand))
		}
	}
	return func(doc bson.Raw) bool { return slices.ContainsFunc(at.values(doc), test) }, nil
}

// comparisons are between values of one type only.
var comparisons = map[string]func(order int) bool{
	"$eq":  func(order int) bool { return order == 0 },
	"$gt":  func(order int) bool { return order > 0 },
	"$gte": func(order int) bool { return order >= 0 },
	"$lt":  func(order int) bool { return order < 0 },
	"$lte": func(order int) bool { return order <= 0 },
}

func operandsOf(array bson.RawValue) ([]bson.RawValue, error) {
	list, ok := valuesOf(array)
	if !ok {
		return nil, badValue("$in needs an array")
	}
	for _, operand := range list {
		if err := checkOperand(operand); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func checkOperand(operand bson.RawValue) error {
	if !isSimple(operand.Type) {
		return badValue("comparing with a value of type %s is not supported", operand.Type)
	}
	return nil
}

func isThere(value bson.RawValue) bool { return value.Type != 0 }

// path is the name of a field, split at its dots.
type path []string

func pathOf(name string) (path, error) {
	p := path(strings.Split(name, "."))
	for _, field := range p {
		if _, err := strconv.Atoi(field); err == nil || field == "" || strings.HasPrefix(field, "$") {
			return nil, badValue("the path '%s' is not supported", name)
		}
	}
	return p, nil
}

// values returns what a document has at a path: one value without a type if there is
// nothing, and an array together with its elements.
func (p path) values(doc bson.Raw) []bson.RawValue {
	value := doc.Lookup(p[0])
	if inner, ok := value.DocumentOK(); ok && len(p) > 1 {
		return p[1:].values(inner)
	}
	list, isArray := valuesOf(value)
	switch {
	case len(p) == 1:
		return append(list, value)
	case !isArray:
		return []bson.RawValue{{}}
	}
	var found []bson.RawValue
	for _, element := range list {
		if inner, ok := element.DocumentOK(); ok {
			found = append(found, p[1:].values(inner)...)
		}
	}
	return found
}
