package normalize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/billbus/billbus/events"
)

// ErrOmitted is returned by [Normalizer.Again] for a message without the JSON that it
// was made from.
var ErrOmitted = errors.New("the message does not have what Stripe sent: it was too large")

// Again reads the event, or the object of a snapshot, in a message again: by the
// present rules and these options. What identifies the message, and says how it
// arrived, stays as it was.
//
// Nothing is redacted again, and nothing that was redacted comes back.
func (n *Normalizer) Again(msg events.Message, at time.Time) (events.Message, error) {
	read, raw := n.eventAgain, msg.Data.Event
	if !msg.Data.ReadAt.IsZero() {
		read, raw = n.snapshotAgain, msg.Data.Object
	}
	if len(raw) == 0 {
		return events.Message{}, ErrOmitted
	}
	root, err := parse(raw)
	if err != nil {
		return events.Message{}, err
	}
	defer root.doc.release()
	in := input{root, msg.Data.EventSHA256, msg.Data.Redactions, new(notes)}
	if slices.Contains(msg.Data.Warnings, invalidUTF8) {
		in.warnings.add(invalidUTF8)
	}
	again, err := read(msg, in)
	again.Data.Normalizer, again.Data.RereadAt = Rules, at.UTC().Truncate(time.Millisecond)
	in.describe(&again.Data)
	return again, err
}

func (n *Normalizer) eventAgain(msg events.Message, in input) (events.Message, error) {
	env, err := readEnvelope(in)
	if err != nil {
		return events.Message{}, err
	}
	env.belongsTo(msg.StripeAccount)
	env.livemode = msg.Livemode
	again := env.message(Receipt{Endpoint: msg.StripeEndpoint, Origin: msg.Data.Origin, ReceivedAt: msg.Data.ReceivedAt})
	again.ID, again.Data.Event = msg.ID, []byte(in.root.raw())
	n.setObject(&again, env, in.warnings)
	return again, nil
}

func (n *Normalizer) snapshotAgain(msg events.Message, in input) (events.Message, error) {
	env, err := readSnapshot(in, Reading{
		Account: msg.StripeAccount, Livemode: msg.Livemode, APIVersion: msg.StripeAPIVersion, At: msg.Data.ReadAt,
	})
	if err != nil {
		return events.Message{}, err
	}
	env.livemode = msg.Livemode
	var read events.Data
	n.setRead(&read, env, in.warnings)
	msg.Data.Ignored = n.ignored(env)
	setObjects(&msg.Data, read)
	return msg, nil
}

// Differences names the fields that two readings of one JSON say differently, such
// as subscription.user_id. Fields that say how and when it was read are left out,
// except the number of the rules.
func Differences(a, b events.Data) ([]string, error) {
	fieldsA, err := fieldsOf(a)
	if err != nil {
		return nil, err
	}
	fieldsB, err := fieldsOf(b)
	if err != nil {
		return nil, err
	}
	names := maps.Clone(fieldsA)
	maps.Copy(names, fieldsB)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(names)), func(name string) bool {
		return bytes.Equal(fieldsA[name], fieldsB[name])
	}), nil
}

// fieldsOf returns the fields of a message's data as JSON. Those of an object in it
// come one by one.
func fieldsOf(d events.Data) (map[string]json.RawMessage, error) {
	d.Event, d.Object, d.RereadAt, d.ReceivedAt, d.EventOmitted, d.Overlap = nil, nil, time.Time{}, time.Time{}, "", false
	outer, err := members(d)
	if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	for name, raw := range outer {
		inner, err := members(raw)
		if err != nil { // it is not an object
			fields[name] = raw
			continue
		}
		for member, value := range inner {
			fields[name+"."+member] = value
		}
	}
	return fields, nil
}

func members(v any) (map[string]json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding what was read: %w", err)
	}
	var found map[string]json.RawMessage
	err = json.Unmarshal(raw, &found)
	return found, err
}
