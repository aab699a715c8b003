package stripesim

// era orders the renderings.
type era int

const (
	era2015 era = iota
	era2020
	era2023
	era2024
	// eraAcacia has the period on the subscription and on its items.
	eraAcacia
	eraBasil
	eraClover
	eraDahlia
)

// shape is how Stripe rendered objects in one API version. Stripe adds fields to older
// versions, too; a shape has the fields that events of its version had when they were
// recorded.
type shape struct {
	version string
	era     era
	// withoutItems is true for renderings from before subscriptions had items, which lack
	// the fields that came with them. The other shape of that version is from years later.
	withoutItems bool
	// listed is how many items an event lists; 0 for all.
	listed int
}

// complete is the shape of what is read from the API, with all items.
func (s shape) complete() shape {
	s.listed = 0
	return s
}

// isCutOff reports whether a list of items is cut off.
func (s shape) isCutOff(items []item) bool { return s.listed > 0 && len(items) > s.listed }

func shapes() []shape {
	return []shape{
		{version: "2015-10-01", era: era2015, withoutItems: true},
		{version: "2015-10-01", era: era2015},
		{version: "2020-08-27", era: era2020},
		{version: "2023-10-16", era: era2023},
		{version: "2024-06-20", era: era2024},
		{version: "2025-01-27.acacia", era: eraAcacia},
		{version: "2025-03-31.basil", era: eraBasil},
		{version: "2025-09-30.clover", era: eraClover},
		{version: "2026-07-29.dahlia", era: eraDahlia},
	}
}

// elementwise reports whether previous_attributes list only the changed elements of
// arrays.
func (s shape) elementwise() bool { return s.era == era2015 }

// modern shapes have prices, collection methods and most other fields.
func (s shape) modern() bool { return s.era >= era2020 }

// flexible billing is the default since clover, for subscriptions that are created in it.
func (s shape) flexible() bool { return s.era >= eraClover }

func (s shape) pausesTrials() bool { return s.era >= era2023 }

// unset returns null for zero.
func unset[T int64 | string](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// texts renders metadata.
func texts(m map[string]string) object {
	o := object{}
	for key, text := range m {
		o[key] = text
	}
	return o
}
