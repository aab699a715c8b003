package mongotest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// rank is the place of a type in MongoDB's order of values. What is missing is like null.
func rank(t bson.Type) int {
	switch t {
	case 0, bson.TypeNull:
		return 1
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble:
		return 2
	case bson.TypeString:
		return 3
	case bson.TypeEmbeddedDocument:
		return 4
	case bson.TypeArray:
		return 5
	case bson.TypeObjectID:
		return 7
	case bson.TypeBoolean:
		return 8
	case bson.TypeDateTime:
		return 9
	}
	return 10
}

// isSimple reports whether values of a type can be compared with others of their rank.
func isSimple(t bson.Type) bool { return !slices.Contains([]int{4, 5, 10}, rank(t)) }

// compare compares simple values.
func compare(a, b bson.RawValue) int {
	if n := cmp.Compare(rank(a.Type), rank(b.Type)); n != 0 {
		return n
	}
	switch a.Type {
	case 0, bson.TypeNull:
		return 0
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble:
		if a.Type != bson.TypeDouble && b.Type != bson.TypeDouble {
			return cmp.Compare(a.AsInt64(), b.AsInt64())
		}
		return cmp.Compare(a.AsFloat64(), b.AsFloat64())
	case bson.TypeDateTime:
		return cmp.Compare(a.DateTime(), b.DateTime())
	case bson.TypeString:
		return bytes.Compare(a.Value[4:], b.Value[4:]) // without the lengths; both end with a zero
	}
	return bytes.Compare(a.Value, b.Value)
}

func equal(a, b bson.RawValue) bool { return isSimple(a.Type) && compare(a, b) == 0 }

// keyOf returns a text that is the same for all values that are equal.
func keyOf(v bson.RawValue) string {
	switch rank(v.Type) {
	case 1:
		return ""
	case 2:
		n := uint64(v.AsInt64()) //nolint:gosec // only the bits count
		if f, ok := v.DoubleOK(); ok && float64(int64(f)) != f {
			return "f" + string(binary.BigEndian.AppendUint64(nil, math.Float64bits(f)))
		}
		return "n" + string(binary.BigEndian.AppendUint64(nil, n))
	}
	return string(rune(v.Type)) + string(v.Value)
}
