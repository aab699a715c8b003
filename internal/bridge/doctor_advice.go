package bridge

import (
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/stripehook"
)

// verdict is the answer in a sentence.
func verdict(d stripehook.Diagnosis) string {
	switch d.Cause {
	case stripehook.CauseVerified:
		return "verifies: signed with the secret " + d.Key + ", and its time is accepted now"
	case stripehook.CauseStale:
		return "does not verify: stale. The signature is right (secret " + d.Key + "), but was made " + age(d) +
			", " + (d.Age - d.Tolerance).Round(time.Second).String() + " more than WEBHOOK_TOLERANCE allows"
	case stripehook.CauseFuture:
		return "does not verify: from the future. The signature is right (secret " + d.Key + "), but its time is " + age(d) +
			", " + (-d.Age - d.Tolerance).Round(time.Second).String() + " more than WEBHOOK_TOLERANCE allows"
	case stripehook.CauseMissing:
		return "does not verify: there is no Stripe-Signature header" + faults(d.HeaderFaults)
	case stripehook.CauseMalformed:
		return "does not verify: the Stripe-Signature header is malformed" + faults(d.HeaderFaults)
	case stripehook.CauseAltered:
		var texts []string
		for _, change := range d.Changes {
			texts = append(texts, change.Text)
		}
		return "does not verify: the body was changed on its way (" + strings.Join(texts, "; then ") +
			"). Before that, it was signed with the secret " + d.Key
	}
	return "does not verify: signed by none of the secrets (" + strings.Join(d.Tried, ", ") + "), or the body was changed in a way that cannot be told"
}

func faults(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return ": " + strings.Join(list, "; ")
}

// advise says what to do, the likeliest first. livemode is WEBHOOK_LIVEMODE, if
// it is set.
func advise(d stripehook.Diagnosis, livemode string) []string {
	var advice []string
	switch d.Cause {
	case stripehook.CauseMissing:
		advice = aboutMissing(d)
	case stripehook.CauseMalformed:
		advice = []string{"Log and forward the header as it came, byte for byte: t=…,v1=… and nothing around it. No proxy may join, trim, mask or rewrite it."}
	case stripehook.CauseAltered:
		advice = append(aboutChanges(d.Changes), aboutClock(d)...)
	case stripehook.CauseNoMatch:
		advice = append(aboutBody(d.Body), aboutSecrets(d, livemode)...)
		if d.GaveUp {
			advice = append(advice, "Not every known alteration was tried, because the body is large or the secrets are many: try again with a smaller event, or with the one secret that should have signed it.")
		}
	default:
		advice = aboutClock(d)
	}
	if d.Repeated {
		advice = append(advice, "There are several Stripe-Signature headers and only the first counts: something in front added one.")
	}
	if d.Encoding {
		advice = append(advice, "There is a Content-Encoding header, and such a request is answered 415 whatever its signature: Stripe sends none, so something in front compresses bodies. Turn that off.")
	}
	return advice
}

func aboutMissing(d stripehook.Diagnosis) []string {
	advice := []string{
		"Something in front drops the header, or it was left out of the capture. Look at proxies and gateways that pass on only the headers they know: " +
			"CDN origin request policies, API gateway parameter mappings, WAF rules, functions that rebuild the request. Let Stripe-Signature through unchanged.",
	}
	for _, name := range d.Lookalikes {
		advice = append(advice, "There is "+name+": the header under another name. If this is a dump of CGI, PHP or WSGI variables, the header did arrive: "+
			"give its value with --signature. If the request itself has that name, give it back its own: Stripe-Signature.")
	}
	if len(d.Headers) > 0 && !d.FromStripe {
		advice = append(advice, "The user agent is not Stripe's (Stripe/1.0 …): the request was sent anew by something in between, or does not come from Stripe at all.")
	}
	return advice
}

func aboutClock(d stripehook.Diagnosis) []string {
	const fresh = "Stripe signs every attempt anew with the time of sending, so a captured request grows stale however right it is: "
	switch d.Clock() {
	case stripehook.CauseStale:
		return []string{
			fresh + "what counts is the clock when it arrived. If it was refused right then, it had waited that long in a queue or was replayed, or the clock of the bridge is ahead: compare `date -u` with another machine's, and run NTP.",
			"Do not raise WEBHOOK_TOLERANCE for that: whoever recorded a request could replay it for as long.",
		}
	case stripehook.CauseFuture:
		return []string{"No capture comes from the future: the clock of this machine is behind by at least that. Compare `date -u` with another machine's, and run NTP here and on the bridge's machine."}
	}
	return nil
}

const rawBytes = "Pass the bytes on as they came: read the raw body before any parser (in Express: express.raw before express.json; in other frameworks: the request's raw body or stream, never its parsed form) and forward that."

// aboutChanges says who does such things and how to stop it.
func aboutChanges(changes []stripehook.Change) []string {
	cures := map[stripehook.Kind]string{
		stripehook.KindReencoded: "Something read the JSON and wrote it anew. The usual culprits: a body parser in front, a function that forwards JSON.stringify(event), " +
			"an API gateway's mapping template, a WAF or logging proxy that rewrites bodies. " + rawBytes + " In an API gateway use the plain proxy integration, without body mapping.",
		stripehook.KindNewlineAdded:   "A line end after the body is mostly added by whoever captured it: editors, echo and jq do. If the request really had it, the forwarder prints where it should write bytes.",
		stripehook.KindNewlineRemoved: "A line end after the body is mostly lost in capturing: $(…) and editors do that. If the request really lacked it, something in front trims bodies.",
		stripehook.KindWhitespace:     "White space around the body is mostly added in capturing. If the request really had it, the forwarder prints where it should write bytes.",
		stripehook.KindCRLF:           "Windows editors, git (core.autocrlf) and transfers in text mode write such line ends. Capture again in binary mode; in the path of the request, forward bytes instead of text.",
		stripehook.KindLF:             "Transfers in text mode and editors change line ends. Capture again in binary mode; in the path of the request, forward bytes instead of text.",
		stripehook.KindNewlinesRemoved: "curl does this to files after -d or --data: use --data-binary @file. " +
			"In a log, lines are joined likewise: capture again.",
		stripehook.KindBOM:        "Windows editors and PowerShell put a byte order mark before a file. Capture again in binary mode; in the path of the request, forward bytes instead of text.",
		stripehook.KindCharset:    "Something read the bytes in another character set than UTF-8 and wrote them anew. " + rawBytes,
		stripehook.KindGzip:       "A proxy compresses request bodies, or a capture was taken in front of what decompresses them. Turn request compression off: Stripe sends none.",
		stripehook.KindDeflate:    "A proxy compresses request bodies, or a capture was taken in front of what decompresses them. Turn request compression off: Stripe sends none.",
		stripehook.KindBase64:     "API gateways hand binary bodies to functions as base64 (isBase64Encoded): decode it before it is forwarded, or take application/json off the binary media types.",
		stripehook.KindURLEncoded: "Something took the body for a form, or for part of a URL, and encoded it. " + rawBytes,
		stripehook.KindForm:       "Something took the body for a form, or put it into one. " + rawBytes,
		stripehook.KindJSONString: "A forwarder wrote JSON.stringify of what was a string already, or a queue or gateway did. " + rawBytes,
		stripehook.KindEnvelope:   "This is the event of a gateway, queue or bus, with Stripe's body in a member. Forward that member alone, decoded, byte for byte.",
		stripehook.KindChunked:    "The capture was taken from the wire. Save the body without the chunk sizes; the request itself may be right.",
	}
	var advice []string
	for _, change := range changes {
		if cure := cures[change.Kind]; cure != "" && !slices.Contains(advice, cure) {
			advice = append(advice, cure)
		}
	}
	return advice
}

// aboutBody says what the body itself gives away where nothing matched.
func aboutBody(b stripehook.Body) []string {
	var advice []string
	switch {
	case b.Layout == stripehook.LayoutEmpty:
		return []string{"The body is empty: something in front read it and passed nothing on, or the capture lacks it. " + rawBytes}
	case b.Layout == stripehook.LayoutTruncated:
		return []string{"The body is cut off: look for a limit on body size in front of the bridge, or of what captured it."}
	case b.Layout == stripehook.LayoutNotJSON && !b.Event.IsEvent():
		return []string{"The body is no JSON, and nothing that could be unpacked from it is an event: it is not what Stripe sent. " + rawBytes}
	case !b.Event.IsEvent():
		return []string{"The body is JSON but no Stripe event: something passed on a part of one, or another document."}
	case b.Layout != stripehook.LayoutStripe && !b.Event.Thin():
		advice = append(advice, "Stripe indents events by two spaces, and this body is "+b.Layout.String()+
			": it was probably re-encoded on its way, and either in a way that cannot be undone (numbers rewritten, keys reordered, members dropped), or it was signed with another secret besides. "+rawBytes)
	case b.Sorted:
		advice = append(advice, "The keys are sorted, and Stripe writes id and object first: the body was probably re-encoded on its way. "+rawBytes)
	default:
		advice = append(advice, "The body is written as Stripe writes it, so it is probably unaltered, and signed with another secret.")
	}
	if b.Replaced {
		advice = append(advice, "The body holds U+FFFD, which mostly stands for a character that a wrong character set destroyed. "+rawBytes)
	}
	return advice
}

// aboutSecrets says which other secret it may be.
func aboutSecrets(d stripehook.Diagnosis, livemode string) []string {
	e := d.Body.Event
	advice := modeAdvice(e.Livemode, d.Tried, livemode)
	if e.Account != "" {
		advice = append(advice, "The event belongs to the connected account "+e.Account+": endpoints that listen to connected accounts have secrets of their own, other than those of the platform's own endpoints.")
	}
	if e.Thin() {
		advice = append(advice, "This is a thin event: its event destination has a secret of its own, other than that of an endpoint for snapshot events at the same URL.")
	}
	return append(advice,
		"Every endpoint has a secret of its own: in Stripe's Dashboard open Developers, Webhooks, the endpoint with this very URL, and compare its signing secret with what STRIPE_WEBHOOK_SECRETS holds under: "+strings.Join(d.Tried, ", ")+". "+
			"Several may be set at once. A secret that was rolled stays valid for at most 24 hours.",
	)
}

// modeAdvice compares the event's mode with what the settings say of theirs.
func modeAdvice(mode string, tried []string, livemode string) []string {
	var advice []string
	named := func(words ...string) bool {
		return !slices.ContainsFunc(tried, func(name string) bool {
			return !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(strings.ToLower(name), word) })
		})
	}
	switch mode {
	case "true":
		if named("test", "sandbox", "cli", "dev") {
			advice = append(advice, "The event is of live mode, and all secrets are named for test mode ("+strings.Join(tried, ", ")+"): add the live endpoint's secret.")
		}
		if livemode == "test" {
			advice = append(advice, "The event is of live mode, and WEBHOOK_LIVEMODE is test: a live endpoint points to this bridge, or this is the wrong bridge.")
		}
		advice = append(advice, "The event is of live mode (livemode true): only the secret of the live mode endpoint verifies it, never one of test mode, a sandbox or the Stripe CLI's test mode.")
	case "false":
		if named("live", "prod") {
			advice = append(advice, "The event is of test mode, and all secrets are named for live mode ("+strings.Join(tried, ", ")+"): add the test endpoint's secret.")
		}
		if livemode == "live" {
			advice = append(advice, "The event is of test mode, and WEBHOOK_LIVEMODE is live: a test endpoint or the Stripe CLI points to this bridge.")
		}
		advice = append(advice, "The event is of test mode or a sandbox (livemode false): the live endpoint's secret never verifies it, and each sandbox has endpoints and secrets of its own.",
			"If it came through `stripe listen`, it is signed with the CLI's own secret, which is another one than the Dashboard's: `stripe listen --print-secret` prints it.")
	}
	return advice
}
