// Package normalize turns Stripe's JSON, in whatever API version it was
// rendered, into the one message of package events.
//
// It goes by the shape of the JSON, never by the version string: a field is
// taken from wherever a version keeps it, and what has an odd type is left out
// and named in the warnings. Only what is no Stripe event at all is an error. A
// library's structs cannot do this: they follow one version, and turn a newer
// subscription into zero dates without an error.
//
// The bytes are read in this order: repair of invalid UTF-8, syntax, redaction,
// and then everything else from the redacted bytes, so that no secret can reach
// a field. Redaction edits bytes; numbers, key order and escapes stay as Stripe
// wrote them. An update is read twice: the object as it is, and as it was.
package normalize

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
)

// ErrNotEvent is what every error of [Normalizer.Event] wraps. The text says
// what is missing and quotes nothing of the body.
var ErrNotEvent = errors.New("not a Stripe event")

// Modes and accounts that can be admitted, besides ids of connected accounts.
const (
	Live     = "live"
	Test     = "test"
	Any      = "any"
	Platform = "platform"
)

// Options say what is admitted to subscription.*, what is redacted, and where
// the application keeps its user id.
type Options struct {
	// Livemode is the mode whose events are admitted: live, test or any.
	Livemode string
	// Accounts are those whose events are admitted: platform, any, acct_….
	Accounts []string
	// RedactKeys are redacted wherever they occur, besides what always is.
	RedactKeys []string
	// UserIDKeys are the metadata keys that may hold the user id, in order.
	UserIDKeys []string
	// ClientReference says whether the client_reference_id of a Checkout session
	// is a user id: api, all or off.
	ClientReference string
}

// Receipt is what is known of an event besides its bytes.
type Receipt struct {
	// Endpoint is the name of the signing secret that verified the event.
	Endpoint string
	// Account is the connected account that an event was read from. Stripe names
	// it in what it posts; where an event names one itself, that one counts.
	Account    string
	Origin     events.Origin
	ReceivedAt time.Time
}

// Normalizer makes messages. It is safe for concurrent use.
type Normalizer struct {
	livemode        string
	accounts        []string
	secrets         secrets
	userIDKeys      []string
	clientReference string
}

// New checks the options and reports every fault in them at once.
func New(o Options) (*Normalizer, error) {
	if err := errors.Join(checkMode(o.Livemode), checkAccounts(o.Accounts), checkKeys(o), checkClientReference(o.ClientReference)); err != nil {
		return nil, err
	}
	return &Normalizer{
		livemode:        o.Livemode,
		accounts:        slices.Clone(o.Accounts),
		secrets:         newSecrets(append([]string{"client_secret"}, o.RedactKeys...)),
		userIDKeys:      slices.Clone(o.UserIDKeys),
		clientReference: o.ClientReference,
	}, nil
}

// Event makes the message of one Stripe event. An error always means that raw
// is not a Stripe event, and wraps [ErrNotEvent].
func (n *Normalizer) Event(raw []byte, r Receipt) (events.Message, error) {
	s := new(sink)
	doc, err := parse(repair(raw, &s.warn))
	if err != nil {
		return events.Message{}, notEvent(err.Error())
	}
	body, redactions := redact(doc, n.secrets)
	env, err := readEnvelope(body, s)
	if err != nil {
		return events.Message{}, err
	}
	env.account = cmp.Or(env.account, r.Account)
	msg := env.message(r)
	sum := sha256.Sum256(raw)
	msg.Data.EventSHA256 = hex.EncodeToString(sum[:])
	msg.ID = eventID(env.id, msg.Data.EventSHA256)
	msg.Data.Event = []byte(body.raw())
	n.place(&msg, env, s)
	msg.Data.Redactions = redactions
	msg.Data.Warnings = s.warn.list()
	return msg, nil
}

// place decides the subject: subscription.* for what is admitted and names a
// subscription, stripe.> for everything else.
func (n *Normalizer) place(msg *events.Message, env envelope, s *sink) {
	msg.Data.Ignored = n.ignored(env)
	subject, ok := events.SubscriptionSubject(env.kind)
	ok = ok && !env.thin && msg.Data.Ignored == ""
	if ok && env.subject == "" {
		s.warn.fault("data.object.id", "missing, so the subscription is unknown")
	}
	if ok && env.subject != "" {
		msg.Type = subject
		n.states(&msg.Data, env, s)
		return
	}
	msg.Type = events.StripeSubject(env.kind)
	if msg.Data.Ignored == "" && !env.thin {
		n.relate(msg, env, s)
	}
}

// states reads the subscription as it is after the event and, on an update, as
// it was before.
func (n *Normalizer) states(data *events.Data, env envelope, s *sink) {
	after := n.subscription(env.object, env, s)
	previous := after
	if env.kind == "customer.subscription.updated" {
		previous = n.previous(after, env, s)
		data.Previous = events.Diff(previous, after)
	}
	data.Subscription = after
	data.Changes = events.Changes(env.kind, previous, after)
	data.Identity = subscriptionIdentity(after)
}

// previous reads the object with the previous attributes put back in the same
// way as the object itself. Only what could be read in the one and not in the
// other is noted anew.
func (n *Normalizer) previous(after *events.Subscription, env envelope, s *sink) *events.Subscription {
	object := beforeSubscription(env.object, env.previous, env.version)
	if object == env.object {
		return after
	}
	own := new(sink)
	was := n.subscription(object, env, own)
	was.ID = after.ID
	if !env.previous.get("items").exists() {
		sharePeriod(was, after)
	}
	s.warn.addNew("previous_attributes: ", own.warn)
	return was
}

// sharePeriod gives the items the period that the subscription had before, if
// theirs is the subscription's now. Versions before 2025-03-31 render both, but
// say of the subscription's alone what it was: a renewal would seem none.
func sharePeriod(was, after *events.Subscription) {
	for i := range was.Items {
		it := &was.Items[i]
		if !it.CurrentPeriodStart.IsZero() && it.CurrentPeriodStart.Equal(after.CurrentPeriodStart) && it.CurrentPeriodEnd.Equal(after.CurrentPeriodEnd) {
			it.CurrentPeriodStart, it.CurrentPeriodEnd = was.CurrentPeriodStart, was.CurrentPeriodEnd
		}
	}
}

func (n *Normalizer) ignored(env envelope) string {
	account := env.account
	if account == "" {
		account = Platform
	}
	switch {
	case n.livemode != Any && n.livemode != events.Mode(env.livemode):
		return events.IgnoredLivemode
	case !slices.Contains(n.accounts, Any) && !slices.Contains(n.accounts, account):
		return events.IgnoredAccount
	}
	return ""
}

func checkClientReference(word string) error {
	switch word {
	case ClientReferenceAPI, ClientReferenceAll, ClientReferenceOff:
		return nil
	}
	return fmt.Errorf("client reference %q: want api, all or off", word)
}

func notEvent(why string) error { return fmt.Errorf("%w: %s", ErrNotEvent, why) }

func checkMode(mode string) error {
	if mode == Live || mode == Test || mode == Any {
		return nil
	}
	return fmt.Errorf("livemode %q: want live, test or any", mode)
}

func checkAccounts(accounts []string) error {
	if len(accounts) == 0 {
		return errors.New("accounts: want platform, any or a list of acct_…")
	}
	var faults []error
	for _, a := range accounts {
		id, isID := strings.CutPrefix(a, "acct_")
		if a != Platform && a != Any && (!isID || id == "" || events.SafeID(a) != a) {
			faults = append(faults, fmt.Errorf("account %q: want platform, any or acct_…", a))
		}
	}
	return errors.Join(faults...)
}

// checkKeys refuses to redact what makes an event recognizable or names its
// user: such an event would be refused, or all users would be one.
func checkKeys(o Options) error {
	var faults []error
	for _, key := range o.RedactKeys {
		switch {
		case strings.TrimSpace(key) == "":
			faults = append(faults, errors.New("redact keys: one is empty"))
		case slices.Contains(envelopeKeys(), key):
			faults = append(faults, fmt.Errorf("redact key %q: needed to tell what an event is", key))
		case slices.Contains(o.UserIDKeys, key):
			faults = append(faults, fmt.Errorf("redact key %q: also names the user id", key))
		}
	}
	if slices.ContainsFunc(o.UserIDKeys, func(key string) bool { return strings.TrimSpace(key) == "" }) {
		faults = append(faults, errors.New("user id keys: one is empty"))
	}
	return errors.Join(faults...)
}
