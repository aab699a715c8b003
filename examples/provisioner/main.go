// Command provisioner sets something up for each user who gets access, and takes it away
// again: here a file per user in a folder. It consumes access.granted and access.revoked.
//
// It does what data.access says, rather than counting messages, so a repeated message
// changes nothing. The messages of a user come in order, and one is acknowledged only
// after its effect is on disk. So whenever it is killed, the folder ends up right.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	folder := cmp.Or(os.Getenv("FOLDER"), "provisioner-data")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	nc, err := nats.Connect(cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	defer nc.Close()
	consumer, err := bind(ctx, nc, cmp.Or(os.Getenv("CONSUMER"), "provisioner"))
	if err != nil {
		return fmt.Errorf("binding to the consumer: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return fmt.Errorf("pulling messages: %w", err)
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("waiting for messages: %w", err)
		}
		if err := settle(ctx, msg, folder); err != nil {
			log.Print("answering the server failed, it delivers the message again: ", err)
		}
	}
}

// bind creates the durable consumer if it does not exist. It must deliver one message at a
// time. Otherwise one that is delivered again, because an effect failed or the process was
// killed, would come after later ones, and undo them.
func bind(ctx context.Context, nc *nats.Conn, durable string) (jetstream.Consumer, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	consumer, err := js.CreateConsumer(ctx, "BILLBUS", jetstream.ConsumerConfig{
		Durable: durable,
		// If products or quantities matter to you, add access.changed.
		FilterSubjects: []string{events.SubjectAccessGranted, events.SubjectAccessRevoked},
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        30 * time.Second,
		MaxAckPending:  1,
		MaxDeliver:     -1,
	})
	if errors.Is(err, jetstream.ErrConsumerExists) {
		consumer, err = js.Consumer(ctx, "BILLBUS", durable)
	}
	if err == nil && consumer.CachedInfo().Config.MaxAckPending != 1 {
		return nil, errors.New("the consumer must have a MaxAckPending of 1")
	}
	return consumer, err
}

func settle(ctx context.Context, msg jetstream.Msg, folder string) error {
	m, err := events.Decode(msg.Data())
	if err != nil {
		log.Printf("skipping a message on %s: %v", msg.Subject(), err)
		return msg.TermWithReason("not readable")
	}
	// A customer has a document, too. Its subject is access.<mode>.<account>.customer.<id>.
	if parts := strings.Split(m.Subject, "."); m.Data.Access == nil || len(parts) != 5 || parts[3] != "user" {
		return msg.Ack()
	}
	if err := provision(filepath.Join(folder, m.Subject+".json"), *m.Data.Access); err != nil {
		log.Printf("%s failed, trying again: %v", m.ID, err)
		return msg.NakWithDelay(5 * time.Second)
	}
	log.Print(m.ID, " ", m.Type, " ", m.Subject)
	return msg.DoubleAck(ctx)
}

// provision makes the file of a user agree with what the user may use.
func provision(path string, doc events.AccessDocument) error {
	if doc.Access == events.AccessNone {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return syncFolder(filepath.Dir(path))
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	draft, err := os.Create(path + ".draft")
	if err != nil {
		return err
	}
	_, err = draft.Write(append(text, '\n'))
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a change survive a power cut.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
