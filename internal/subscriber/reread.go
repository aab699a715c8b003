package subscriber

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/term"
)

// publishTimeout bounds the publishing of an event that is admitted now.
const publishTimeout = 5 * time.Second

// readAgain returns a function that reads what Stripe sent again, by this release and
// these settings.
func readAgain(w config.Webhook) (func(events.Message) (events.Message, error), error) {
	n, err := normalize.New(normalize.Options{
		Livemode: w.Livemode, Accounts: w.Accounts, UserIDKeys: w.UserIDKeys, ClientReference: w.ClientReference,
	})
	return func(m events.Message) (events.Message, error) { return n.Again(m, time.Now()) }, err
}

// rereader returns a handler that reads each message again before it commits it.
func (r *replay) rereader(commit message.NoPublishHandlerFunc) (message.NoPublishHandlerFunc, error) {
	read, err := readAgain(r.cfg.Reading)
	if err != nil {
		return nil, err
	}
	cfg := handlers.RereadConfig{
		Read: read, Differences: normalize.Differences, Find: r.into.Find, Commit: commit,
		Publisher: silent{}, MaxMessage: func() int { return 0 }, Report: r.reread.add,
	}
	if !r.isShadow() {
		cfg.MaxMessage = r.bus.MaxMessage
		if cfg.Publisher, err = r.bus.NewPublisher(r.cfg.Stream.Name, publishTimeout); err != nil {
			return nil, err
		}
	}
	h, err := handlers.NewReread(cfg)
	if err != nil {
		return nil, err
	}
	return h.Handle, nil
}

// silent publishes nothing: a shadow is nobody's business.
type silent struct{}

func (silent) Publish(string, ...*message.Message) error { return nil }
func (silent) Close() error                              { return nil }

// difference is a field that is read differently in events of one type.
type difference struct {
	Kind  string `json:"kind"`
	Type  string `json:"type"`
	Field string `json:"field"`
	Count int    `json:"events"`
}

// rereadings counts what differs when messages are read again.
type rereadings struct {
	mu       sync.Mutex
	counts   map[[2]string]int // by type and field
	admitted int
	omitted  int
}

func (s *rereadings) add(result handlers.Rereading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[[2]string]int{}
	}
	for _, field := range result.Fields {
		s.counts[[2]string{result.StripeType, field}]++
	}
	if result.Admitted {
		s.admitted++
	}
	if result.Omitted {
		s.omitted++
	}
}

func (s *rereadings) differences() []difference {
	var list []difference
	for key, n := range s.counts {
		list = append(list, difference{"difference", key[0], key[1], n})
	}
	slices.SortFunc(list, func(a, b difference) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Field, b.Field)) })
	return list
}

// print prints how many events of each type differ in each field.
func (s *rereadings) print(out io.Writer, cfg config.Replay) error {
	if !cfg.Renormalize {
		return nil
	}
	line := func(d any) error {
		_, err := fmt.Fprintf(out, "~ %s  %s: %d events\n", d.(difference).Type, d.(difference).Field, d.(difference).Count)
		return err
	}
	if cfg.JSON {
		line = term.JSONLines(out)
	}
	for _, d := range s.differences() {
		if err := line(d); err != nil {
			return err
		}
	}
	if cfg.JSON {
		return line(map[string]any{"kind": "renormalized", "admitted": s.admitted, "omitted": s.omitted})
	}
	_, err := fmt.Fprintf(out, "read again: %d events that were ignored are admitted, %d cannot be read again because they were too large\n", s.admitted, s.omitted)
	return err
}
