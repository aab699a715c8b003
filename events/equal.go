package events

import (
	"maps"
	"reflect"
	"time"
)

// equal compares two values of the contract. Unlike reflect.DeepEqual it compares times
// by their moment, takes an empty map or slice for an absent one, and does not allocate.
func equal[T any](a, b *T) bool {
	return equalValues(reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem())
}

// equalValues is [equal] for addressable values of one type.
func equalValues(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.String:
		return a.String() == b.String()
	case reflect.Bool:
		return a.Bool() == b.Bool()
	case reflect.Int64:
		return a.Int() == b.Int()
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return equalValues(a.Elem(), b.Elem())
	case reflect.Slice:
		return a.Len() == b.Len() && equalParts(a.Len(), a.Index, b.Index)
	case reflect.Struct:
		if t, ok := a.Addr().Interface().(*time.Time); ok {
			return t.Equal(*b.Addr().Interface().(*time.Time))
		}
		return equalParts(a.NumField(), a.Field, b.Field)
	case reflect.Map:
		return maps.Equal(a.Interface().(map[string]string), b.Interface().(map[string]string))
	}
	panic("events: a field of kind " + a.Kind().String() + " cannot be compared")
}

func equalParts(n int, a, b func(int) reflect.Value) bool {
	for i := range n {
		if !equalValues(a(i), b(i)) {
			return false
		}
	}
	return true
}

// isAbsent reports whether JSON leaves a value out.
func isAbsent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	}
	return v.IsZero()
}
