package doctor

import (
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/fault"
)

// verdict returns the answer in a sentence or two.
func (r Report) verdict() string {
	const no = "The request does not verify: "
	switch r.Cause {
	case Verified:
		return "The request verifies: it is signed with the secret " + r.Secret + ", and its time is within WEBHOOK_TOLERANCE."
	case fault.Stale, fault.FromTheFuture:
		problem := map[fault.Reason]string{fault.Stale: "it is too old", fault.FromTheFuture: "it is from the future"}[r.Cause]
		return no + problem + ". The signature is correct (secret " + r.Secret + "), but its time is " + r.ageText() + ", " +
			(r.age.Abs() - r.settings.Tolerance).Round(time.Second).String() + " more than WEBHOOK_TOLERANCE allows."
	case fault.SignatureMissing, fault.Malformed:
		problem := "there is no Stripe-Signature header"
		if len(r.HeaderFaults) > 0 {
			problem = "the Stripe-Signature header is malformed: " + strings.Join(r.HeaderFaults, "; ")
		}
		return no + problem + "."
	case Altered:
		texts := []string{"It was signed with the secret " + r.Secret}
		for _, change := range r.Alterations {
			texts = append(texts, change.Text)
		}
		return no + "the body was changed on its way. " + strings.Join(texts, ", then ") + "."
	}
	unsigned := no + "no configured secret signed it (" + strings.Join(r.SecretsTried, ", ") + ")"
	if problem := r.bodyProblem(); problem != "" {
		return unsigned + ", or the body was changed on its way, in a way that is not recognized: " + problem + "."
	}
	return unsigned + "."
}

func (r Report) ageText() string {
	text := r.age.Abs().Round(time.Second).String()
	if r.age < 0 {
		return text + " in the future"
	}
	return text + " ago"
}

// bodyProblem says what shows that a body is not as Stripe wrote it, or "".
func (r Report) bodyProblem() string {
	layout := r.Body.Layout
	switch {
	case layout == Empty || layout == Truncated || layout == NotJSON:
		return "it is " + layout.String()
	case r.Event.Object == "":
		return "it is not a Stripe event"
	case r.Event.thin() && layout != Compact:
		return "it is " + layout.String() + ", and Stripe writes thin events as compact JSON"
	case !r.Event.thin() && layout != Indented:
		return "it is " + layout.String() + ", and Stripe indents by two spaces"
	case r.Body.replaced:
		return "it contains U+FFFD, the mark for a character that could not be decoded"
	}
	return ""
}

// advise returns what to do, the most likely cure first.
func (r Report) advise() []string {
	var advice []string
	switch r.Cause {
	case fault.SignatureMissing:
		advice = r.findHeader()
	case fault.Malformed:
		advice = []string{"Log and forward the header byte for byte: t=…,v1=… and nothing around it. No proxy may join, trim, mask or rewrite it."}
	case Altered:
		for _, change := range r.Alterations {
			advice = append(advice, change.advice)
		}
		advice = append(slices.Compact(advice), r.fixClock()...)
	case fault.NoMatchingSecret:
		advice = append(r.checkBody(), r.checkSecrets()...)
	default:
		advice = r.fixClock()
	}
	if r.repeated {
		advice = append(advice, "There are several Stripe-Signature headers, and only the first counts: a proxy added one.")
	}
	if r.encoded {
		advice = append(advice, "The bridge answers a request with a Content-Encoding header with 415, whatever its signature. Stripe sends none, so a proxy compresses bodies: turn that off.")
	}
	return advice
}

func (r Report) findHeader() []string {
	advice := []string{
		"A proxy drops the header, or the capture lacks it. Look for proxies and gateways that pass on only the headers they know " +
			"(CDN origin request policies, API gateway parameter mappings, WAF rules, functions that rebuild the request), and let Stripe-Signature through.",
	}
	for _, name := range r.SimilarHeaders {
		advice = append(advice, "There is a header "+name+". If this is a dump of CGI, PHP or WSGI variables, the header did arrive: "+
			"give its value with --signature. If the request has that name, rename it to Stripe-Signature.")
	}
	if len(r.Headers) > 0 && !r.fromStripe {
		advice = append(advice, "The user agent is not Stripe's (Stripe/1.0 …): a proxy rebuilt the request, or it does not come from Stripe.")
	}
	return advice
}

func (r Report) fixClock() []string {
	switch r.Clock {
	case fault.Stale:
		return []string{
			"A captured request always becomes too old, so what counts is the clock when the request arrived. Stripe signs each attempt with the time at which it sends it. " +
				"If the bridge refused the request at that time, the request was delayed or replayed, or the clock of the bridge is ahead: compare `date -u` with another machine, and run NTP.",
			"Do not raise WEBHOOK_TOLERANCE because of this: anyone who records a request could replay it for that long.",
		}
	case fault.FromTheFuture:
		return []string{"The clock of this machine is behind by at least that much: compare `date -u` with another machine, and run NTP here and on the machine of the bridge."}
	}
	return nil
}

// checkBody says what the body itself shows if no secret matches.
func (r Report) checkBody() []string {
	switch {
	case r.Body.Layout == Truncated:
		return []string{"Look for a limit on the size of bodies in front of the bridge, or in the tool that captured this one."}
	case r.Event.Object == "":
		return []string{"Something passed on another document, a part of the event or nothing, or the capture is incomplete." + rawBody}
	case r.Body.Bytes > maxSearched:
		return []string{"The body is too large to look for changes in it: try again with a smaller event."}
	case r.bodyProblem() != "":
		return []string{"The body was probably re-encoded, in a way that cannot be undone (numbers rewritten, keys reordered, characters lost)." + rawBody}
	}
	return []string{"The body looks as Stripe writes it, so it is probably unchanged, and signed with another secret."}
}

// checkSecrets says which other secret may have signed the request.
func (r Report) checkSecrets() []string {
	advice := r.checkMode()
	if r.Event.Account != "" {
		advice = append(advice, "The event belongs to the connected account "+r.Event.Account+". An endpoint for connected accounts has a different secret from an endpoint for your own account.")
	}
	if r.Event.thin() {
		advice = append(advice, "This is a thin event. Its event destination has a different secret from an endpoint for snapshot events, even at the same URL.")
	}
	return append(advice, "Each endpoint has its own secret. In the Stripe Dashboard, open the endpoint with this URL under Developers, Webhooks, and compare its signing secret "+
		"with those in STRIPE_WEBHOOK_SECRETS ("+strings.Join(r.SecretsTried, ", ")+"). You can set several. A secret that was rolled stays valid for at most 24 hours.")
}

// checkMode compares the mode of the event with the names of the secrets and with WEBHOOK_LIVEMODE.
func (r Report) checkMode() []string {
	if r.Event.Livemode == nil {
		return nil
	}
	names := map[string][]string{"live": {"live", "prod"}, "test": {"test", "sandbox", "cli", "dev"}}
	mode, other := "test", "live"
	advice := []string{
		"The event is in test mode or from a sandbox: the secret of a live endpoint never verifies it, and each sandbox has its own endpoints and secrets.",
		"If it came through `stripe listen`, it is signed with the secret of the Stripe CLI: `stripe listen --print-secret` prints it.",
	}
	if *r.Event.Livemode {
		mode, other = other, mode
		advice = []string{"The event is in live mode: only the secret of a live endpoint verifies it, never one of test mode, a sandbox or the Stripe CLI."}
	}
	if r.settings.Livemode == other {
		advice = slices.Insert(advice, 0, "The event is in "+mode+" mode, and WEBHOOK_LIVEMODE is "+other+": an endpoint in "+mode+" mode points to this bridge.")
	}
	if r.allNamed(names[other]) {
		advice = slices.Insert(advice, 0, "The event is in "+mode+" mode, and all secrets are named for "+other+" mode: add the secret of the "+mode+" endpoint.")
	}
	return advice
}

// allNamed reports whether the name of each secret contains one of the words.
func (r Report) allNamed(words []string) bool {
	return !slices.ContainsFunc(r.SecretsTried, func(name string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(strings.ToLower(name), word) })
	})
}
