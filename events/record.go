package events

import (
	"time"

	json "github.com/go-json-experiment/json/v1"
)

// Record is the record of a subscription as JSON, which is a value of the state view. Its
// fields are those of the collection subscriptions, except that Metadata are an object.
type Record struct {
	// Subscription is the current state. In the record its ID is called subscription_id,
	// and UserID is the user that all known events name, not only those of the
	// subscription.
	Subscription
	// UserIDSource says where UserID was found; absent if nothing names a user.
	UserIDSource IdentitySource `json:"user_id_source,omitempty"`
	// UserIDConflict is true if sources of the user disagree.
	UserIDConflict bool          `json:"user_id_conflict,omitempty"`
	Version        RecordVersion `json:"version"`
	// Ordering is determined, or ambiguous if the known events do not say which of them is
	// the last one.
	Ordering string `json:"ordering"`
	// Explanation says in one sentence why this event was chosen, for a person.
	Explanation string `json:"explanation"`
	// FirstSeenAt and UpdatedAt are by the subscriber's clock, in milliseconds.
	FirstSeenAt time.Time `json:"first_seen_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	// FormerAccess are the keys of access documents to which the subscription has belonged,
	// and that may not say so yet. It is only in the state view.
	FormerAccess []string `json:"former_access,omitempty"`
}

// RecordVersion says which event gives the current state of a record.
type RecordVersion struct {
	EventID      string    `json:"event_id"`
	EventType    string    `json:"event_type"`
	EventCreated time.Time `json:"event_created"`
	// Terminal is true if the subscription had ended by the event.
	Terminal bool `json:"terminal"`
	// N starts at 1 and grows by one with every write. It starts again if the database is
	// dropped and rebuilt, while FirstSeenAt is then another one.
	N int64 `json:"n"`
	// Rule is the number of the rules that decided the record.
	Rule   int  `json:"rule"`
	Reread bool `json:"reread,omitempty"`
	// Known are the events that a later decision can depend on.
	Known []KnownEvent `json:"known,omitempty"`
}

// KnownEvent is what a record keeps of one event.
type KnownEvent struct {
	EventID        string      `json:"event_id"`
	Type           string      `json:"type"`
	APIVersion     string      `json:"api_version,omitempty"`
	Moment         time.Time   `json:"moment"`
	Terminal       bool        `json:"terminal"`
	Request        string      `json:"request,omitempty"`
	First          bool        `json:"first,omitempty"`
	Because        string      `json:"because,omitempty"`
	ItemsTruncated bool        `json:"items_truncated,omitempty"`
	Access         string      `json:"access,omitempty"`
	Products       string      `json:"products,omitempty"`
	Before         StateDigest `json:"before,omitzero"`
	After          StateDigest `json:"after"`
}

// StateDigest identifies a state of a subscription.
type StateDigest struct {
	Full   string `json:"full"`
	Core   string `json:"core"`
	Fields string `json:"fields,omitempty"`
}

// recordJSON is a record as it is written: the id of the subscription has another name.
type recordJSON struct {
	SubscriptionID string `json:"subscription_id"`
	recordFields
	// NoID hides the ID of the Subscription.
	NoID *struct{} `json:"id,omitempty"`
}

type recordFields Record

// MarshalJSON implements json.Marshaler.
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(recordJSON{SubscriptionID: r.ID, recordFields: recordFields(r)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Record) UnmarshalJSON(raw []byte) error {
	var read recordJSON
	if err := json.Unmarshal(raw, &read); err != nil {
		return err
	}
	*r = Record(read.recordFields)
	r.ID = read.SubscriptionID
	return nil
}
