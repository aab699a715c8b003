package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	tolerance = 5 * time.Minute
	subject   = "stripe.floor"
)

func ingress(ctx context.Context, withID bool) error {
	addr, secret := os.Getenv("LISTEN_ADDR"), os.Getenv("SECRET")
	nc, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /webhooks/stripe", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !verified(r.Header.Get("Stripe-Signature"), body, secret) {
			http.Error(w, "not verified", http.StatusBadRequest)
			return
		}
		var opts []jetstream.PublishOpt
		if withID {
			opts = append(opts, jetstream.WithMsgID(eventID(body)))
		}
		if _, err := js.Publish(r.Context(), subject, body, opts...); err != nil {
			http.Error(w, "not published", http.StatusServiceUnavailable)
		}
	})
	return serve(ctx, addr, mux)
}

// eventID finds the id without parsing the event.
func eventID(body []byte) string {
	_, rest, _ := bytes.Cut(body, []byte(`"evt_`))
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return "evt_" + string(id)
}

// verified checks a signature of Stripe's scheme v1.
// See https://docs.stripe.com/webhooks#verify-manually
func verified(header string, body []byte, secret string) bool {
	stamp, signature, ok := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if !ok || err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	got, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, stamp+".")
	_, _ = mac.Write(body)
	return hmac.Equal(got, mac.Sum(nil))
}
