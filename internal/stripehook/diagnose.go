package stripehook

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/fault"
)

const signatureHeader = "Stripe-Signature"

// Cause is why a request does not verify, or that it does.
type Cause string

// The causes. But for two, they are the reasons of Verify, which knows of
// altered bodies only that nobody known signed them.
const (
	CauseVerified  Cause = "verified"
	CauseMissing   Cause = Cause(fault.SignatureMissing)
	CauseMalformed Cause = Cause(fault.Malformed)        // or without a single signature that can be read
	CauseAltered   Cause = "altered"                     // what one of our secrets signed became this body on its way
	CauseNoMatch   Cause = Cause(fault.NoMatchingSecret) // another secret, or a body altered in a way not known here
	CauseStale     Cause = Cause(fault.Stale)
	CauseFuture    Cause = Cause(fault.FromTheFuture)
)

// Diagnosis is what can be told of a captured request. It holds no secret, and
// of the payload only what Event has.
type Diagnosis struct {
	Cause Cause
	Key   string   // name of the key that signed it; "" if none did
	Tried []string // names of all keys

	SignedAt  time.Time     // zero if the header does not tell
	Age       time.Duration // from SignedAt to now; negative in the future
	Tolerance time.Duration

	Headers      []string // names of those there are
	Lookalikes   []string // names of those that may have been the signature header
	HeaderFaults []string // what is wrong with the signature header, without quoting it
	Repeated     bool     // there are several signature headers, of which only the first counts
	Encoding     bool     // there is a Content-Encoding other than identity, which the bridge refuses
	FromStripe   bool     // the user agent is Stripe's

	Changes []Change // what became of the body on its way, in this order; only if Cause is CauseAltered
	GaveUp  bool     // the body is too large, or the keys too many, for every alteration to be tried
	Body    Body
}

// Clock is how the time of the signature relates to now: CauseVerified,
// CauseStale or CauseFuture. For a body that was altered it tells what would
// be found once that is cured.
func (d Diagnosis) Clock() Cause {
	switch {
	case d.Age > d.Tolerance:
		return CauseStale
	case -d.Age > d.Tolerance:
		return CauseFuture
	}
	return CauseVerified
}

// Diagnose finds out why the request does not verify, or that it does, by
// asking a Verifier first: what it accepts is CauseVerified and nothing else
// is. The names of headers are in canonical form, or they are not found. The
// error is that of New.
func Diagnose(body []byte, headers http.Header, keys []Key, tolerance time.Duration, now time.Time) (Diagnosis, error) {
	verifier, err := New(keys, tolerance, func() time.Time { return now })
	if err != nil {
		return Diagnosis{}, err
	}
	d := Diagnosis{Tried: names(keys), Tolerance: tolerance, Body: inspect(body)}
	d.readHeaders(headers, now)
	header := headers.Get(signatureHeader)
	key, err := verifier.Verify(body, header)
	if err == nil {
		d.Key, d.Cause = key, CauseVerified
		return d, nil
	}
	switch d.Cause = Cause(fault.ReasonOf(err)); d.Cause {
	case CauseStale, CauseFuture:
		d.Key, _ = match(keys, body, header)
	case CauseMissing, CauseMalformed:
		d.HeaderFaults = headerFaults(headers)
	case CauseNoMatch:
		d.explain(body, headers, keys)
	}
	return d, nil
}

// explain tells a header without any signature, an altered body and an unknown
// secret apart.
func (d *Diagnosis) explain(body []byte, headers http.Header, keys []Key) {
	header := headers.Get(signatureHeader)
	if !signed(header) {
		d.Cause, d.HeaderFaults = CauseMalformed, headerFaults(headers)
		return
	}
	s := search{header: header, keys: keys}
	original, key, ok := s.undo(body)
	if !ok {
		d.GaveUp = s.gaveUp
		return
	}
	d.Cause, d.Key, d.Changes = CauseAltered, key, original.changes
	if event := inspect(original.body).Event; event != (Event{}) {
		d.Body.Event = event
	}
}

func (d *Diagnosis) readHeaders(headers http.Header, now time.Time) {
	for name, values := range headers {
		if !showable(name) {
			continue
		}
		d.Headers = append(d.Headers, name)
		if name != signatureHeader && resembles(name) {
			d.Lookalikes = append(d.Lookalikes, name)
		}
		d.Repeated = d.Repeated || name == signatureHeader && len(values) > 1
	}
	slices.Sort(d.Headers)
	slices.Sort(d.Lookalikes)
	encoding := headers.Get("Content-Encoding")
	d.Encoding = encoding != "" && encoding != "identity"
	d.FromStripe = strings.HasPrefix(headers.Get("User-Agent"), "Stripe/")
	if stamp, ok := timestamp(headers.Get(signatureHeader)); ok {
		d.SignedAt, d.Age = stamp.UTC(), now.Sub(stamp)
	}
}
