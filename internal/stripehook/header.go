package stripehook

import (
	"encoding/hex"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// showable keeps out of reports what stands where a header's name belongs and
// is none: in a broken capture that may be anything, a secret among it.
func showable(name string) bool {
	return len(name) <= 64 && token.MatchString(name) && !secretLike.MatchString(name)
}

var (
	token      = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	secretLike = regexp.MustCompile(`(?i)whsec_|sk_(live|test)|rk_(live|test)`)
	notLetter  = regexp.MustCompile(`[^a-z]`)
)

// resembles finds HTTP_STRIPE_SIGNATURE, X-Stripe-Signature and their like.
func resembles(name string) bool {
	return strings.Contains(notLetter.ReplaceAllString(strings.ToLower(name), ""), "stripesignature")
}

// signed says whether there is a signature that can be read at all.
func signed(header string) bool {
	for pair := range strings.SplitSeq(header, ",") {
		if text, ok := strings.CutPrefix(pair, "v1="); ok && isSignature(text) {
			return true
		}
	}
	return false
}

func isSignature(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil && len(text) == 64
}

// headerFaults says what is wrong with the signature header, in words that quote
// nothing of it.
func headerFaults(headers http.Header) []string {
	header := headers.Get(signatureHeader)
	switch {
	case header == "" && len(headers.Values(signatureHeader)) > 0:
		return []string{"it is there, but empty"}
	case header == "":
		return nil
	case len(header) > maxHeader:
		return []string{"it is longer than " + strconv.Itoa(maxHeader>>10) + " KiB"}
	}
	faults := wrappingFaults(header)
	if len(faults) > 0 && !strings.Contains(header, "=") {
		return faults
	}
	return append(faults, pairFaults(header)...)
}

// wrappingFaults are those of a header that somebody wrote down anew.
func wrappingFaults(header string) []string {
	var faults []string
	for _, sign := range []struct{ chars, fault string }{
		{" \t\r\n", "it holds white space: Stripe writes t=…,v1=… without any"},
		{`"'`, "it holds quotation marks"},
		{";", "its parts are separated by semicolons instead of commas"},
		{"%", "it is URL-encoded"},
	} {
		if strings.ContainsAny(header, sign.chars) {
			faults = append(faults, sign.fault)
		}
	}
	return faults
}

func pairFaults(header string) []string {
	var faults, stamps []string
	var v0, v1, readable int
	for pair := range strings.SplitSeq(header, ",") {
		name, text, found := strings.Cut(pair, "=")
		switch {
		case pair == "":
			faults = append(faults, "it has an empty part: two commas in a row, or one at an end")
		case !found:
			faults = append(faults, "it has a part without =")
		case strings.Contains(text, "="):
			faults = append(faults, "it has a part with more than one =")
		}
		switch strings.TrimSpace(name) {
		case "t":
			stamps = append(stamps, text)
		case "v0":
			v0++
		case "v1":
			v1++
			if isSignature(text) {
				readable++
			}
		}
	}
	return append(append(unique(faults), stampFaults(stamps)...), signatureFaults(v0, v1, readable)...)
}

func stampFaults(stamps []string) []string {
	var faults []string
	if len(stamps) == 0 {
		faults = append(faults, "it has no t, the time of the signature")
	}
	for _, stamp := range stamps {
		if _, err := strconv.ParseInt(stamp, 10, 64); err != nil {
			faults = append(faults, "its t is no whole number of seconds")
		}
	}
	if len(unique(stamps)) > 1 {
		faults = append(faults, "it has two different t: two headers became one, or somebody added to it")
	}
	return unique(faults)
}

func signatureFaults(v0, v1, readable int) []string {
	switch {
	case v1 == 0 && v0 > 0:
		return []string{"it has no v1 signature, only v0, which proves nothing: Stripe sends it beside v1 in test mode"}
	case v1 == 0:
		return []string{"it has no v1 signature"}
	case readable == 0:
		return []string{"its v1 is not 64 hexadecimal digits: cut off, or masked by whoever logged it"}
	}
	return nil
}

func unique(list []string) []string {
	var kept []string
	seen := make(map[string]bool)
	for _, text := range list {
		if !seen[text] {
			kept, seen[text] = append(kept, text), true
		}
	}
	return kept
}
