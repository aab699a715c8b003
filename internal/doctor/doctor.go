// Package doctor explains why a captured webhook request does not verify, and what to do about it.
//
// [Read] reads a request in the forms in which people capture one, among them a pasted curl command.
// [Examine] passes it to a [stripehook.Verifier], which alone decides whether the request is valid. If it
// is not, Examine looks for the cause: it undoes the changes that proxies and frameworks make to a body,
// until one of the secrets matches. A [Report] holds no secret and no header value, and of the payload
// only what identifies the event.
package doctor

import (
	"errors"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/stripehook"
)

const signatureHeader = "Stripe-Signature"

// Request is a captured webhook request.
type Request struct {
	Header http.Header
	Body   []byte
	Notes  []string // how it may differ from the request that was sent; quotes nothing of it
}

// Settings are those of the bridge that decide whether a request is accepted.
type Settings struct {
	Keys      []stripehook.Key
	Tolerance time.Duration
	Livemode  string // WEBHOOK_LIVEMODE, or "" if it is not set
	Now       time.Time
}

// What a report has as its cause in addition to the verifier's reasons.
const (
	Verified fault.Reason = "verified"
	Altered  fault.Reason = "altered" // one of the secrets signed a body that this one was made from
)

// Examine returns why the verifier refuses the request, or that it accepts it. The error is that of
// [stripehook.New].
func Examine(request Request, settings Settings) (Report, error) {
	clock := func() time.Time { return settings.Now }
	verifier, err := stripehook.New(settings.Keys, settings.Tolerance, clock)
	anyTime, errAnyTime := stripehook.New(settings.Keys, math.MaxInt64, clock)
	if err = errors.Join(err, errAnyTime); err != nil {
		return Report{}, err
	}
	r := describe(request, settings)
	header := request.Header.Get(signatureHeader)
	read, _ := stripehook.ReadHeader(header)
	r.Secret, _, err = verifier.Verify(request.Body, header)
	switch r.Cause = fault.ReasonOf(err); {
	case err == nil:
		r.Cause, r.Verifies = Verified, true
	case r.Cause == fault.Stale || r.Cause == fault.FromTheFuture:
		r.Secret, _, _ = anyTime.Verify(request.Body, header)
	case r.Cause == fault.NoMatchingSecret && read.Signed():
		r.findChange(request.Body, header, anyTime)
	case r.Cause == fault.NoMatchingSecret:
		r.Cause = fault.Malformed // without a signature that can be read, it is not about secrets
	}
	if r.Cause == fault.Malformed || r.Cause == fault.SignatureMissing && len(request.Header.Values(signatureHeader)) > 0 {
		r.HeaderFaults = headerFaults(header)
	}
	r.Verdict, r.Advice = r.verdict(), r.advise()
	return r, nil
}

// describe fills in what does not depend on the verdict.
func describe(request Request, settings Settings) Report {
	encoding := request.Header.Get("Content-Encoding")
	r := Report{
		Body: inspect(request.Body), Event: findEvent(request.Body), Notes: request.Notes, settings: settings,
		encoded:    encoding != "" && !strings.EqualFold(encoding, "identity"),
		repeated:   len(request.Header.Values(signatureHeader)) > 1,
		fromStripe: strings.HasPrefix(request.Header.Get("User-Agent"), "Stripe/"),
	}
	for _, key := range settings.Keys {
		r.SecretsTried = append(r.SecretsTried, key.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(request.Header)) {
		if secretLike.MatchString(name) { // a damaged capture may have anything here
			continue
		}
		r.Headers = append(r.Headers, name)
		if name != signatureHeader && similarName.MatchString(name) {
			r.SimilarHeaders = append(r.SimilarHeaders, name)
		}
	}
	if header, ok := stripehook.ReadHeader(request.Header.Get(signatureHeader)); ok {
		r.setClock(header.SignedAt())
	}
	return r
}

// setClock compares the time of the signature with now. For a body that was changed, this is the verdict
// that remains once the change is undone.
func (r *Report) setClock(at time.Time) {
	r.age, r.Clock = r.settings.Now.Sub(at), Verified
	switch {
	case r.age.Abs() <= r.settings.Tolerance:
	case r.age > 0:
		r.Clock = fault.Stale
	default:
		r.Clock = fault.FromTheFuture
	}
	seconds := int64(r.age / time.Second)
	r.SignedAt, r.AgeSeconds = at.UTC().Format(time.RFC3339), &seconds
}

// findChange looks for a body that this one was made from and that one of the secrets signed.
func (r *Report) findChange(body []byte, header string, verifier *stripehook.Verifier) {
	for _, source := range unpack(body) {
		for _, original := range originals(source.body) {
			if key, _, err := verifier.Verify(original, header); err == nil {
				r.Cause, r.Secret, r.Event = Altered, key, findEvent(original)
				r.Alterations = append(compare(original, source.body), source.changes...)
				return
			}
		}
	}
}
