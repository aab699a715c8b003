package cases_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/test/kit"
)

// corrected are the settings that admit what was ignored.
var corrected = []string{"WEBHOOK_LIVEMODE=any", "WEBHOOK_ACCOUNTS=any"}

// TestIgnoredThenAdmitted sends events that a setting ignores, corrects it, and reads the
// events again in each way that is documented.
func TestIgnoredThenAdmitted(t *testing.T) {
	t.Parallel()
	const long, short = 72 * time.Hour, 2 * time.Second
	for name, test := range map[string]struct {
		window    time.Duration
		mend      func(*testing.T, *alone, []order)
		published bool // as messages with the subscription
	}{
		"resent in the duplicate window":    {long, resend, true},
		"resent after the duplicate window": {short, resend, true},
		"replayed":                          {long, run("replay", "--renormalize"), false},
		"verified":                          {long, run("verify", "--fix"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, orders := startAlone(t, t.TempDir(), "WEBHOOK_LIVEMODE=live", "STREAM_DUPLICATE_WINDOW="+test.window.String()), ignored(t, test.published)
			a.sendIgnored(t, orders)
			a.settle(t)
			sent := time.Now()
			a.restart(t, corrected...)
			if test.window == short {
				kit.Eventually(t, "the window is over", func() bool { return time.Since(sent) > short+time.Second })
			}
			test.mend(t, a, orders)
			a.settle(t)
			checkAdmitted(t, a.content(t), orders)
		})
	}
}

// run mends with a command.
func run(args ...string) func(*testing.T, *alone, []order) {
	return func(t *testing.T, a *alone, _ []order) {
		t.Helper()
		if out, err := a.subscriber(t, args...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}

func (a *alone) sendIgnored(t *testing.T, orders []order) {
	t.Helper()
	for _, o := range orders {
		for _, body := range o.bodies() {
			if answer := a.accept(t, body); !strings.Contains(answer, `"ignored"`) {
				t.Errorf("%s was not ignored: %s", o.name, answer)
			}
		}
	}
}

// ignored returns the orders of the story twice: as events in test mode, and as live events
// of a connected account. If nothing is published, only the records are expected.
func ignored(t *testing.T, published bool) []order {
	t.Helper()
	random := seeded(t)
	tested := loadStory(t, "ignored-then-admitted")
	if !published {
		e := decode(t, tested.want)
		tested.want, _ = json.Marshal(map[string]any{"records": e.Records})
	}
	connected := tested
	connected.name, connected.events = "ignored-then-admitted, account", nil
	for _, body := range tested.events {
		connected.events = append(connected.events, []byte(strings.NewReplacer(
			`"livemode": false`, `"livemode": true`, `"object": "event",`, `"object": "event", "account": "acct_c02",`).Replace(string(body))))
	}
	return append(tested.orders(random), connected.orders(random)...)
}

func resend(t *testing.T, a *alone, orders []order) {
	t.Helper()
	for _, o := range orders {
		for _, body := range o.bodies() {
			if answer := a.accept(t, body); strings.Contains(answer, `"ignored"`) {
				t.Errorf("%s is still ignored: %s", o.name, answer)
			}
		}
	}
}

// checkAdmitted leaves out the messages as which the events were ignored first.
func checkAdmitted(t *testing.T, c content, orders []order) {
	t.Helper()
	for id, docs := range c.messages {
		var admitted []any
		for _, doc := range docs {
			if lookup(doc, "data.ignored") == nil {
				admitted = append(admitted, doc)
			}
		}
		c.messages[id] = admitted
	}
	check(t, c, orders)
}

// TestOrganizationContext sends an event of an organization with the default settings, and
// another one with its account admitted.
func TestOrganizationContext(t *testing.T) {
	t.Parallel()
	random, s := seeded(t), loadStory(t, "organization-context")
	ignored, admitted := s.orders(random), s.orders(random)
	a := startAlone(t, t.TempDir(), "WEBHOOK_LIVEMODE=any")
	if answer := a.accept(t, ignored[0].bodies()[0]); !strings.Contains(answer, `"ignored":"account"`) {
		t.Errorf("by default: got %s, want it ignored", answer)
	}
	if metrics := kit.Get(a.url + "/metrics").Body; !ignoredAccount.MatchString(metrics) {
		t.Errorf("no metric says that one event was ignored for its account:\n%s", grep(metrics, "ignored"))
	}
	a.settle(t)
	a.restart(t, "WEBHOOK_LIVEMODE=any", "WEBHOOK_ACCOUNTS=platform,acct_1Member")
	a.accept(t, admitted[0].bodies()[0])
	a.settle(t)
	check(t, a.content(t), admitted)
}

// ignoredAccount is a metric of events that were ignored, with the reason as a label.
var ignoredAccount = regexp.MustCompile(`(?m)^billbus_.*ignored.*"account".* 1$`)

func grep(text, word string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
