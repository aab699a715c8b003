package stripehook_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/stripehook"
)

var (
	now  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	body = []byte(`{"id":"evt_1"}`)
	main = stripehook.Key{Name: "main", Secret: "whsec_bWFpbg=="}
	next = stripehook.Key{Name: "next", Secret: "whsec_bmV4dA=="}
)

func verifier(t testing.TB, keys ...stripehook.Key) *stripehook.Verifier {
	t.Helper()
	v, err := stripehook.New(keys, 5*time.Minute, func() time.Time { return now })
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return v
}

func signature(k stripehook.Key, at time.Time, payload []byte) string {
	return hex.EncodeToString(webhook.ComputeSignature(at, payload, k.Secret))
}

func header(k stripehook.Key, at time.Time, payload []byte) string {
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), signature(k, at, payload))
}

func TestVerifyAccepts(t *testing.T) {
	t.Parallel()
	stamp := fmt.Sprintf("t=%d", now.Unix())
	noise := strings.Repeat(",v1="+strings.Repeat("ab", 32), 999)
	for name, tt := range map[string]struct{ header, want string }{
		"first key":                {header(main, now, body), "main"},
		"second key":               {header(next, now, body), "next"},
		"300 seconds old":          {header(main, now.Add(-5*time.Minute), body), "main"},
		"300 seconds ahead":        {header(main, now.Add(5*time.Minute), body), "main"},
		"two signatures":           {header(next, now, body) + ",v1=" + signature(main, now, body), "main"},
		"a thousand signatures":    {stamp + noise + ",v1=" + signature(main, now, body), "main"},
		"signature before time":    {"v1=" + signature(main, now, body) + "," + stamp, "main"},
		"same time twice":          {stamp + "," + header(main, now, body), "main"},
		"test signature after it":  {header(main, now, body) + ",v0=00", "main"},
		"undecodable one after it": {header(main, now, body) + ",v1=zz", "main"},
		"padded one after it":      {header(main, now, body) + ",v1=YWI=", "main"},
		"empty one before it":      {"v1=," + header(main, now, body), "main"},
		"scheme with padding":      {header(main, now, body) + ",v2=YWJjZA==", "main"},
		"scheme without value":     {header(main, now, body) + ",v2", "main"},
		"scheme without name":      {"=x," + header(main, now, body), "main"},
		"unknown schemes":          {"v9=x,v10," + header(main, now, body) + ",V1=x, t =5", "main"},
		"empty entries":            {"," + stamp + ",,v1=" + signature(main, now, body) + ",", "main"},
		"space after the commas":   {stamp + ", v1=" + signature(main, now, body) + " ,\tv0=1", "main"},
		"capital digits":           {stamp + ",v1=" + strings.ToUpper(signature(main, now, body)), "main"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := verifier(t, main, next).Verify(body, tt.header)
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestVerifyRejects(t *testing.T) {
	t.Parallel()
	unknown := stripehook.Key{Secret: "whsec_b3RoZXI="}
	stamp := fmt.Sprintf("t=%d", now.Unix())
	good := header(main, now, body)
	farthest := time.Unix(math.MaxInt64, 0)
	for name, tt := range map[string]struct{ header, want string }{
		"no header":                       {"", "missing"},
		"no pairs":                        {"nonsense", "malformed"},
		"value with equals sign":          {stamp + ",v1=a=b", "no_match"},
		"padded signature":                {good + "=", "no_match"},
		"signature in another scheme":     {strings.Replace(good, "v1=", "v2=", 1), "no_match"},
		"signature in capitals' scheme":   {strings.Replace(good, "v1=", "V1=", 1), "no_match"},
		"space inside":                    {strings.Replace(good, "v1=", "v1= ", 1), "no_match"},
		"time with equals sign":           {strings.Replace(good, "t=", "t==", 1), "malformed"},
		"empty time":                      {"t=," + good, "malformed"},
		"two times, one after a space":    {good + ", t=1", "malformed"},
		"time is a word":                  {"t=now,v1=" + signature(main, now, body), "malformed"},
		"time has too many digits":        {"t=99999999999999999999,v1=00", "malformed"},
		"no time":                         {"v1=" + signature(main, now, body), "malformed"},
		"two times, last one signed":      {"t=1," + good, "malformed"},
		"two times, first one signed":     {good + ",t=1", "malformed"},
		"more than 128 KiB":               {good + strings.Repeat(",v1=00", 22_000), "malformed"},
		"no signature":                    {stamp, "no_match"},
		"test signature only":             {stamp + ",v0=" + signature(main, now, body), "no_match"},
		"signed with no key":              {header(stripehook.Key{}, now, body), "no_match"},
		"signed with the prefix":          {header(stripehook.Key{Secret: "whsec_"}, now, body), "no_match"},
		"signed with another key":         {header(unknown, now, body), "no_match"},
		"empty signature":                 {stamp + ",v1=", "no_match"},
		"cut signature":                   {good[:len(good)-2], "no_match"},
		"no time, zero time signed":       {"v1=" + signature(main, time.Time{}, body), "malformed"},
		"another body":                    {header(main, now, []byte(`{"id":"evt_2"}`)), "no_match"},
		"stale, signed with another key":  {header(unknown, now.Add(-time.Hour), body), "no_match"},
		"future, signed with another key": {header(unknown, now.Add(time.Hour), body), "no_match"},
		"301 seconds old":                 {header(main, now.Add(-301*time.Second), body), "stale"},
		"from 1970":                       {header(main, time.Unix(0, 0), body), "stale"},
		"from the distant past":           {header(main, time.Unix(math.MinInt64, 0), body), "stale"},
		"301 seconds ahead":               {header(main, now.Add(301*time.Second), body), "future"},
		"10 minutes ahead":                {header(main, now.Add(10*time.Minute), body), "future"},
		"from the distant future":         {header(main, farthest, body), "future"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := verifier(t, main, next).Verify(body, tt.header)
			if got != "" || fault.KindOf(err) != fault.Rejected || fault.ReasonOf(err) != fault.Reason(tt.want) {
				t.Errorf("got %q, %v (%s), want %s", got, err, fault.ReasonOf(err), tt.want)
			}
			if err != nil && len(err.Error()) > 40 {
				t.Errorf("got error %q, want a short fixed text", err)
			}
		})
	}
}

// The header alone shows that nothing was signed.
func TestCheckNeedsNoPayload(t *testing.T) {
	t.Parallel()
	stamp := fmt.Sprintf("t=%d", now.Unix())
	for header, want := range map[string]fault.Reason{
		"": fault.SignatureMissing, "nonsense": fault.Malformed, stamp: fault.NoMatchingSecret, stamp + ",v1=00": fault.NoMatchingSecret,
	} {
		if err := verifier(t, main).Check(header); fault.ReasonOf(err) != want || fault.KindOf(err) != fault.Rejected {
			t.Errorf("%q: got %v, want %s", header, err, want)
		}
	}
	if err := verifier(t, main).Check(header(main, now, []byte("another body"))); err != nil {
		t.Errorf("got %v of a header that may be right", err)
	}
}

func TestVerifyRejectsEveryChangedByte(t *testing.T) {
	t.Parallel()
	v, good := verifier(t, main), header(main, now, body)
	for i := range body {
		changed := append([]byte(nil), body...)
		changed[i] ^= 1
		if _, _, err := v.Verify(changed, good); fault.ReasonOf(err) != fault.NoMatchingSecret {
			t.Errorf("byte %d changed: got %v, want no_match", i, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	clock := func() time.Time { return now }
	for name, keys := range map[string][]stripehook.Key{
		"no keys":          nil,
		"empty secret":     {{Name: "a"}},
		"prefix only":      {{Name: "a", Secret: "whsec_"}},
		"no prefix":        {{Name: "a", Secret: "sk_live_1"}},
		"space in secret":  {{Name: "a", Secret: "whsec_a b"}},
		"newline at end":   {{Name: "a", Secret: "whsec_ab\n"}},
		"quoted":           {{Name: "a", Secret: `"whsec_ab"`}},
		"same name":        {main, {Name: "main", Secret: "whsec_else"}},
		"same secret":      {main, {Name: "else", Secret: main.Secret}},
		"secret as a name": {{Name: main.Secret, Secret: next.Secret}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := stripehook.New(keys, time.Minute, clock)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, k := range keys {
				if len(k.Secret) > len("whsec_") && strings.Contains(err.Error(), k.Secret) {
					t.Errorf("error quotes a secret: %v", err)
				}
			}
			if strings.Contains(err.Error(), main.Secret) {
				t.Errorf("error quotes a secret: %v", err)
			}
		})
	}
	for _, tolerance := range []time.Duration{0, -time.Second} {
		if _, err := stripehook.New([]stripehook.Key{main}, tolerance, clock); err == nil {
			t.Errorf("tolerance %s: got no error", tolerance)
		}
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	keys := []stripehook.Key{main}
	v := verifier(t, keys...)
	if err := v.Replace([]stripehook.Key{{Name: "bad"}}); err == nil {
		t.Error("Replace by an empty secret: got no error")
	}
	if _, _, err := v.Verify(body, header(main, now, body)); err != nil {
		t.Errorf("after a refused Replace: %v", err)
	}
	keys[0] = next // the caller may modify its slice
	if _, _, err := v.Verify(body, header(main, now, body)); err != nil {
		t.Errorf("after modifying the slice: %v", err)
	}
	if err := v.Replace([]stripehook.Key{next}); err != nil {
		t.Fatalf("Replace: %v", err)
	}
	if _, _, err := v.Verify(body, header(main, now, body)); fault.ReasonOf(err) != fault.NoMatchingSecret {
		t.Errorf("the old key: got %v, want no_match", err)
	}
}

func TestAccountIsThatOfTheKey(t *testing.T) {
	t.Parallel()
	shop := stripehook.Key{Name: "shop", Secret: "whsec_c2hvcA==", Account: "acct_1"}
	v := verifier(t, main, shop)
	for _, key := range []stripehook.Key{main, shop} {
		name, account, err := v.Verify(body, header(key, now, body))
		if err != nil || name != key.Name || account != key.Account {
			t.Errorf("got %q of %q, %v, want %q of %q", name, account, err, key.Name, key.Account)
		}
	}
	for account, want := range map[string]bool{"acct_1": true, "acct_2": false, "": false} {
		if got := v.Names(account); got != want {
			t.Errorf("%q: got %v, want %v", account, got, want)
		}
	}
	if err := v.Replace([]stripehook.Key{main}); err != nil || v.Names("acct_1") {
		t.Errorf("after Replace: got %v, and the old account", err)
	}
}

// A rotation replaces the old key by both and then by the new one. A signature by a key that is in both the
// old and the new list is accepted throughout.
func TestRotationRefusesNoRequest(t *testing.T) {
	t.Parallel()
	v := verifier(t, main, next)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, key := range []stripehook.Key{main, next} {
		signed := header(key, now, body)
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, _, err := v.Verify(body, signed); err != nil || got != key.Name {
					t.Errorf("got %q, %v, want %q", got, err, key.Name)
					return
				}
			}
		})
	}
	for range 2000 {
		if err := errors.Join(v.Replace([]stripehook.Key{next, main}), v.Replace([]stripehook.Key{main, next})); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

func TestKeyIsRedacted(t *testing.T) {
	t.Parallel()
	type holder struct {
		Keys []stripehook.Key
		One  stripehook.Key
		Ptr  *stripehook.Key
	}
	h := holder{[]stripehook.Key{main}, main, &main}
	var printed strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&printed, verb+verb+verb, h, main, &main)
	}
	text := slog.New(slog.NewTextHandler(&printed, nil))
	text.Info("x", "key", main, "keys", []stripehook.Key{main}, "holder", h)
	encoded := slog.New(slog.NewJSONHandler(&printed, nil))
	encoded.Info("x", "key", main, "keys", []stripehook.Key{main}, "holder", h)
	if b, err := json.Marshal(h); err != nil {
		t.Error(err)
	} else {
		printed.Write(b)
	}
	fmt.Fprintf(&printed, "%v %+v %#v", verifier(t, main), verifier(t, main), verifier(t, main))
	hexed := hex.EncodeToString([]byte(main.Secret))
	if s := printed.String(); strings.Contains(s, main.Secret) || strings.Contains(s, hexed) {
		t.Errorf("the output contains a secret: %s", s)
	}
	if got, want := main.String(), "main=[redacted]"; got != want {
		t.Errorf("String: got %s, want %s", got, want)
	}
}

func FuzzVerifyHeader(f *testing.F) {
	good := header(main, now, body)
	for _, seed := range []string{
		"", good, good + ",v0=1", "t=1," + good, good + ",t=1", "t=,v1=", "v1=" + signature(main, now, body),
		good + ",v2=YQ==,,", "t=9223372036854775807,v1=00", strings.Repeat("t=1,", 100), "t = 1",
	} {
		f.Add(seed)
	}
	v := verifier(f, main)
	f.Fuzz(func(t *testing.T, text string) {
		name, _, err := v.Verify(body, text)
		if (err == nil) != (name == "main") {
			t.Fatalf("got %q and %v", name, err)
		}
		h, ok := stripehook.ReadHeader(text)
		if err == nil && (!ok || !strings.Contains(strings.ToLower(text), "v1="+signature(main, h.SignedAt(), body))) {
			t.Fatalf("accepted %q, which has no signature of its time", text)
		}
		// What the SDK accepts is accepted here too, unless it has two times.
		fresh := ok && now.Sub(h.SignedAt()).Abs() <= 5*time.Minute
		if err != nil && fresh && webhook.ValidatePayloadIgnoringTolerance(body, text, main.Secret) == nil {
			t.Fatalf("refused %q, which the SDK accepts: %v", text, err)
		}
	})
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	key := func(name, endpoint, account string) stripehook.Key {
		return stripehook.Key{Name: name, Endpoint: endpoint, Account: account, Secret: "whsec_" + name}
	}
	v := verifier(t,
		key("one", "one", "acct_1"), key("two", "two", "acct_2"), key("old", "old", ""), key("new", "new", ""), key("new2", "new", ""),
		key("oneNew", "oneNew", "acct_1"))
	for _, tt := range []struct{ name, account, want string }{
		{"one", "acct_1", "one after []"},
		{"two", "acct_2", "two after []"},
		{"old", "", "old after []"}, // no event of acct_1 is without an account
		{"old", "acct_1", "old after [one]"},
		{"old", "acct_9", "old after []"},
		{"new2", "", "new after [old]"},
		{"oneNew", "acct_1", "oneNew after [one old new new]"}, // old and new may be of an organization
	} {
		own, earlier := v.Endpoints(tt.name, tt.account)
		if got := fmt.Sprintf("%s after %v", own, earlier); got != tt.want {
			t.Errorf("%s, account %q: got %s, want %s", tt.name, tt.account, got, tt.want)
		}
	}
}
