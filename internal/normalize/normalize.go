// Package normalize turns Stripe's JSON, rendered in any API version, into the
// message that package events defines.
//
// It looks at the shape of the JSON and never at the version string. Each field
// is read from wherever a version keeps it. A value of an unexpected type is
// left out and named in the warnings; the only error is JSON that is not a
// Stripe event at all. The structs of a Stripe library cannot do this: they
// follow one version, and decode a newer subscription into zero dates without
// an error.
//
// The steps are: replace invalid UTF-8, parse, redact, and then read everything
// from the redacted bytes, so a secret cannot end up in a field. Redaction edits
// the bytes in place: numbers, key order and escapes stay as Stripe wrote them.
// For an update, the subscription is read twice: as it is, and as it was.
package normalize

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/billbus/billbus/events"
)

// Rules is the number of the rules by which JSON is read. Raise it when a change of
// this package reads JSON differently that is already stored: "subscriber replay
// --renormalize" then reads that again.
const Rules = 1

// ErrNotEvent is wrapped by every error of [Normalizer.Event]. The error's text
// says what is missing and never quotes the body.
var ErrNotEvent = errors.New("not a Stripe event")

// Values of [Options.Livemode] and [Options.Accounts].
const (
	Live     = "live"
	Test     = "test"
	Any      = "any"
	Platform = "platform"
)

// Options configure a Normalizer. Package config validates them.
type Options struct {
	// Livemode is the mode that is admitted: live, test or any.
	Livemode string
	// Accounts are the accounts that are admitted: platform, any, or acct_….
	Accounts []string
	// Named reports whether a signing secret names an account, which is then
	// admitted too. It may be nil.
	Named func(account string) bool
	// RedactKeys are redacted wherever they occur, in addition to the values
	// that are always redacted. [CannotRedact] must be false for each of them.
	RedactKeys []string
	// UserIDKeys are the metadata keys that can hold the user id, in order of
	// preference.
	UserIDKeys []string
	// ClientReference says when the client_reference_id of a Checkout session is
	// a user id: api, all or off.
	ClientReference string
}

// Receipt is what is known about an event apart from its bytes.
type Receipt struct {
	// Endpoint is the name of the signing secret that verified the event.
	Endpoint string
	// Account is the account of the secret that verified an event, or from which
	// it was read. It applies only to events that do not name an account
	// themselves, and these are admitted: the operator has named the account.
	Account    string
	Origin     events.Origin
	ReceivedAt time.Time
}

// Normalizer makes messages from Stripe's JSON. It is safe for concurrent use.
type Normalizer struct {
	livemode        string
	accounts        []string
	named           func(account string) bool
	secrets         secrets
	userIDKeys      []string
	clientReference string
}

// New returns a Normalizer, or an error if a required option is missing.
func New(o Options) (*Normalizer, error) {
	if o.Livemode == "" || len(o.Accounts) == 0 || o.ClientReference == "" {
		return nil, errors.New("normalize: Livemode, Accounts and ClientReference are required")
	}
	if o.Named == nil {
		o.Named = func(string) bool { return false }
	}
	return &Normalizer{
		named:           o.Named,
		livemode:        o.Livemode,
		accounts:        slices.Clone(o.Accounts),
		secrets:         newSecrets(append([]string{"client_secret"}, o.RedactKeys...)),
		userIDKeys:      slices.Clone(o.UserIDKeys),
		clientReference: o.ClientReference,
	}, nil
}

// Event makes the message of one Stripe event. An error means that raw is not a
// Stripe event, and wraps [ErrNotEvent].
func (n *Normalizer) Event(raw []byte, r Receipt) (events.Message, error) {
	in, err := n.input(raw)
	if err != nil {
		return events.Message{}, notEvent(err.Error())
	}
	defer in.root.doc.release()
	env, err := readEnvelope(in)
	if err != nil {
		return events.Message{}, err
	}
	env.belongsTo(r.Account)
	msg := env.message(r)
	msg.ID = eventID(env.id, in.sha256)
	msg.Data.Event = []byte(in.root.raw())
	n.setObject(&msg, env, in.warnings)
	in.describe(&msg.Data)
	return msg, nil
}

func notEvent(why string) error { return fmt.Errorf("%w: %s", ErrNotEvent, why) }

// input is a body that was parsed and redacted.
type input struct {
	root       value
	sha256     string // of the bytes before redaction, in hex
	redactions []string
	warnings   *notes
}

func (n *Normalizer) input(raw []byte) (input, error) {
	warnings := new(notes)
	doc, err := parse(validUTF8(raw, warnings))
	if err != nil {
		return input{}, err
	}
	root, redactions := redact(doc, n.secrets)
	sum := sha256.Sum256(raw)
	return input{root, hex.EncodeToString(sum[:]), redactions, warnings}, nil
}

// describe adds what the message says about the bytes. It comes last, when all
// warnings are known.
func (in input) describe(data *events.Data) {
	data.EventSHA256 = in.sha256
	data.Redactions = in.redactions
	data.Warnings = in.warnings.list()
}

// setObject sets the message's subject, and the object that the event is about:
// subscription.* for an admitted event that names a subscription, stripe.> for
// everything else.
func (n *Normalizer) setObject(msg *events.Message, env envelope, warnings *notes) {
	msg.Data.Ignored = n.ignored(env)
	subject, ok := events.SubscriptionSubject(env.kind)
	ok = ok && !env.thin && msg.Data.Ignored == ""
	if ok && !isSubscription(env.object) {
		ok = false
		warnings.add("data.object.object: not subscription, so it is not read as one")
	}
	if ok && env.subject == "" {
		warnings.add("data.object.id: missing, so the subscription is unknown")
	}
	if ok && env.subject != "" {
		msg.Type = subject
		n.setSubscription(&msg.Data, env, warnings)
		return
	}
	msg.Type = events.StripeSubject(env.kind)
	if msg.Data.Ignored == "" && !env.thin {
		n.setRelated(msg, env, warnings)
		warnCutOff(env.object, value{}, warnings)
	}
}

// isSubscription accepts an object without a type, as some tools send it.
func isSubscription(object value) bool {
	kind := set(object.get("object"))
	text, _ := kind.text()
	return !kind.exists() || text == "subscription"
}

// ignored says why the event is not admitted, or "".
func (n *Normalizer) ignored(env envelope) string {
	switch {
	case n.livemode != Any && n.livemode != events.Mode(env.livemode):
		return events.IgnoredLivemode
	case env.given, n.Admits(env.account):
		return ""
	}
	return events.IgnoredAccount
}

// Admits reports whether the events of an account are admitted; "" is the platform.
func (n *Normalizer) Admits(account string) bool {
	account = cmp.Or(account, Platform)
	return slices.Contains(n.accounts, Any) || slices.Contains(n.accounts, account) || n.named(account)
}

// IgnoredBy returns the setting that makes events ignored for a reason, or "".
func IgnoredBy(reason string) string {
	switch reason {
	case events.IgnoredLivemode:
		return "WEBHOOK_LIVEMODE"
	case events.IgnoredAccount:
		return "WEBHOOK_ACCOUNTS"
	}
	return ""
}

// setSubscription sets the subscription as it is after the event and, for an
// update, what was different before.
func (n *Normalizer) setSubscription(data *events.Data, env envelope, warnings *notes) {
	after := n.subscription(env.object, env, warnings)
	warnCutOff(env.object, env.object.get("items"), warnings)
	if env.kind == events.StripeTypeDeleted && !after.Terminal() {
		after.Access, after.EndsAt = events.AccessNone, cmp.Or(after.EndedAt, env.created)
	}
	before := after
	if env.kind == "customer.subscription.updated" {
		before = n.before(after, env, warnings)
		data.Previous = events.Diff(before, after)
	}
	data.Subscription = after
	data.Changes = events.Changes(env.kind, before, after)
	data.Identity = subscriptionIdentity(after)
}

// before merges the previous attributes into the object and reads the result
// like the object itself. Only warnings that the object did not cause are added.
func (n *Normalizer) before(after *events.Subscription, env envelope, warnings *notes) *events.Subscription {
	object := objectBefore(env.object, env.previous)
	if object == env.object {
		return after
	}
	own := new(notes)
	before := n.subscription(object, env, own)
	before.ID = after.ID
	if !env.previous.get("items").exists() {
		sharePeriod(before, after)
	}
	warnings.addNew("previous_attributes: ", own)
	return before
}

// sharePeriod gives the subscription's previous period to the items that now
// share its period. Versions before 2025-03-31 render both periods, but list
// only the subscription's in previous_attributes, which would hide a renewal.
func sharePeriod(before, after *events.Subscription) {
	for i := range before.Items {
		it := &before.Items[i]
		if !it.CurrentPeriodStart.IsZero() && it.CurrentPeriodStart.Equal(after.CurrentPeriodStart) && it.CurrentPeriodEnd.Equal(after.CurrentPeriodEnd) {
			it.CurrentPeriodStart, it.CurrentPeriodEnd = before.CurrentPeriodStart, before.CurrentPeriodEnd
		}
	}
}
