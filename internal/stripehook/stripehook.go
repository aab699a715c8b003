// Package stripehook decides whether Stripe signed a webhook, and with which of our signing secrets.
//
// It adds what the check in Stripe's SDK lacks. The SDK accepts an empty secret and any time in the future,
// takes one secret at a time, refuses a header for an entry that does not count, and reports that a request is too old before it knows whether the sender
// holds the secret. Here the signature is checked first, against every secret, and then the clock, in both
// directions.
package stripehook

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/billbus/billbus/internal/fault"
)

// Verifier checks signatures. Its methods are safe for concurrent use.
type Verifier struct {
	keys      atomic.Pointer[[]Key] // the slice is never modified once it is stored
	tolerance time.Duration
	now       func() time.Time
}

// New returns a verifier that accepts what any of the keys signed, if the time of the signature is at most
// the tolerance away from now, in either direction.
func New(keys []Key, tolerance time.Duration, now func() time.Time) (*Verifier, error) {
	if tolerance <= 0 {
		return nil, fmt.Errorf("webhook tolerance %s: must be positive", tolerance)
	}
	v := &Verifier{tolerance: tolerance, now: now}
	if err := v.Replace(keys); err != nil {
		return nil, err
	}
	return v, nil
}

// Replace replaces all keys. A request that is being verified sees the old keys or the new ones, never some
// of both. If Replace returns an error, the old keys remain in use.
func (v *Verifier) Replace(keys []Key) error {
	if err := check(keys); err != nil {
		return err
	}
	keys = slices.Clone(keys)
	v.keys.Store(&keys)
	return nil
}

// Names reports whether one of the keys has this account.
func (v *Verifier) Names(account string) bool {
	return account != "" && slices.ContainsFunc(*v.keys.Load(), func(k Key) bool { return k.Account == account })
}

// Check returns an error if a header cannot be that of a signed webhook, whatever its payload is. The error is
// one of those of Verify.
func (v *Verifier) Check(header string) error {
	_, err := readSigned(header)
	return err
}

// Endpoints returns the endpoint of the key with a name, and the endpoints of earlier keys that may have verified
// the same event of the account: other ones whose events name their account or belong to this one.
func (v *Verifier) Endpoints(name, account string) (own string, earlier []string) {
	keys := *v.keys.Load()
	i := max(slices.IndexFunc(keys, func(k Key) bool { return k.Name == name }), 0)
	for _, k := range keys[:i] {
		if k.Endpoint != keys[i].Endpoint && (k.Account == "" || k.Account == account) {
			earlier = append(earlier, k.Endpoint)
		}
	}
	return keys[i].Endpoint, earlier
}

// Verify returns the name and the account of the key that signed the payload. An error is marked as
// [fault.Rejected], with a reason, and quotes neither the header nor a key.
func (v *Verifier) Verify(payload []byte, header string) (name, account string, err error) {
	h, err := readSigned(header)
	if err != nil {
		return "", "", err
	}
	key, ok := match(*v.keys.Load(), payload, h)
	if !ok {
		return "", "", reject(fault.NoMatchingSecret, "no signature by a known key")
	}
	if err := v.checkClock(h.SignedAt()); err != nil {
		return "", "", err
	}
	return key.Name, key.Account, nil
}

func readSigned(header string) (Header, error) {
	if header == "" {
		return Header{}, reject(fault.SignatureMissing, "no signature header")
	}
	h, ok := ReadHeader(header)
	if !ok {
		return Header{}, reject(fault.Malformed, "malformed signature header")
	}
	if !h.Signed() {
		return Header{}, reject(fault.NoMatchingSecret, "no signature of scheme v1")
	}
	return h, nil
}

// match returns the key that signed the payload, at any time.
func match(keys []Key, payload []byte, h Header) (Key, bool) {
	plain := h.String()
	for _, key := range keys {
		if webhook.ValidatePayloadIgnoringTolerance(payload, plain, key.Secret) == nil {
			return key, true
		}
	}
	return Key{}, false
}

func (v *Verifier) checkClock(stamp time.Time) error {
	now := v.now()
	switch {
	case now.Sub(stamp) > v.tolerance:
		return reject(fault.Stale, "signature is too old")
	case stamp.Sub(now) > v.tolerance:
		return reject(fault.FromTheFuture, "signature is from the future")
	}
	return nil
}

func reject(reason fault.Reason, text string) error {
	return fault.New(fault.Rejected, reason, errors.New(text))
}
