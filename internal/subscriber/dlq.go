package subscriber

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/term"
)

// Console is where a command reads and prints. Stderr shows progress and questions.
type Console struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// ListDeadLetters prints the dead letters that the settings select.
func ListDeadLetters(ctx context.Context, cfg config.Subscriber, out io.Writer, log *slog.Logger) error {
	return withDeadLetters(ctx, cfg.NATS, log, func(letters *natsbus.DeadLetters) error {
		list, more, err := selected(ctx, letters, cfg.DeadLetters, time.Now())
		if err != nil {
			return err
		}
		if cfg.DeadLetters.JSON {
			return printLettersJSON(out, list, more)
		}
		return printLetters(term.NewPrinter(out), list, more)
	})
}

// ShowDeadLetter prints everything about one dead letter, or its payload alone.
func ShowDeadLetter(ctx context.Context, cfg config.Subscriber, out io.Writer, log *slog.Logger) error {
	return withDeadLetters(ctx, cfg.NATS, log, func(letters *natsbus.DeadLetters) error {
		l, err := letters.Get(ctx, cfg.DeadLetters.Sequences[0])
		if err != nil {
			return withSequence(cfg.DeadLetters.Sequences[0], err)
		}
		shown := shownLetter{letterLine: newLetterLine(l), Headers: l.Header, bytes: len(l.Payload)}
		if cfg.DeadLetters.Payload {
			msg, err := letters.Message(ctx, l)
			if err != nil {
				return withSequence(l.Sequence, err)
			}
			shown = shown.with(msg.Payload)
		}
		switch {
		case cfg.DeadLetters.JSON:
			return term.JSONLines(out)(shown)
		case cfg.DeadLetters.Payload:
			return printBody(term.NewPrinter(out), shown.payload)
		}
		return shown.print(term.NewPrinter(out))
	})
}

func withSequence(sequence uint64, err error) error {
	return fmt.Errorf("letter %d: %w", sequence, err)
}

// withDeadLetters runs a command on the dead letters. Unlike the subscriber, a command
// fails if NATS cannot be reached.
func withDeadLetters(ctx context.Context, cfg config.NATS, log *slog.Logger, command func(*natsbus.DeadLetters) error) error {
	// Its name and version are no news to someone who waits for an answer.
	bus, err := natsbus.Open(natsbus.Auth(cfg), "billbus-dlq", slog.New(onlyWarnings{log.Handler()}))
	if err != nil {
		return err
	}
	defer bus.Close()
	connecting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := bus.WaitConnected(connecting); err != nil {
		return err
	}
	return command(bus.NewDeadLetters(time.Now))
}

// selected returns the letters that match, oldest first and without their payloads, and
// whether the limit left out older ones.
func selected(ctx context.Context, letters *natsbus.DeadLetters, d config.DeadLetters, now time.Time) (list []letterLine, more bool, err error) {
	since, until := d.Since.Time(now), d.Until.Time(now)
	for l, err := range letters.All(ctx, d.Subject) {
		switch {
		case err != nil:
			return nil, false, fmt.Errorf("reading dead letters: %w", err)
		case !until.IsZero() && l.At.After(until): // so are all others
			return list, more, nil
		case d.Code != "" && l.Code != d.Code, l.At.Before(since):
			continue
		case d.Limit > 0 && len(list) == d.Limit:
			list, more = list[1:], true
		}
		list = append(list, newLetterLine(l))
	}
	return list, more, nil
}

// letterLine is a letter as JSON shows it.
type letterLine struct {
	Kind       string    `json:"kind"`
	Sequence   uint64    `json:"sequence"`
	At         time.Time `json:"at"`
	Code       string    `json:"code"`
	Reason     string    `json:"reason"`
	Subject    string    `json:"subject"`
	EventID    string    `json:"event_id,omitempty"`
	Consumer   string    `json:"consumer"`
	Deliveries uint64    `json:"deliveries"`
	Stream     string    `json:"stream"`
	Message    uint64    `json:"stream_sequence"`
	StoredAt   time.Time `json:"stored_at"`
	Omitted    bool      `json:"payload_omitted,omitempty"`
}

func newLetterLine(l natsbus.StoredLetter) letterLine {
	return letterLine{
		Kind: "letter", Sequence: l.Sequence, At: l.At, Code: l.Code, Reason: l.Reason, Subject: l.Delivery.Subject, EventID: eventID(l.Payload),
		Consumer: l.Consumer, Deliveries: l.Delivery.Deliveries, Stream: l.Delivery.Stream, Message: l.Delivery.Sequence,
		StoredAt: l.Delivery.StoredAt, Omitted: l.Omitted,
	}
}

// eventID is the id in a message that need not be one of this contract.
func eventID(payload []byte) string {
	var msg struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(payload, &msg); err != nil || len(msg.ID) > maxShownID {
		return ""
	}
	return msg.ID
}

// maxShownID is longer than any id of Stripe's or ours.
const maxShownID = 255

var errNoLetters = errors.New("no matching dead letters")
