package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
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

func ingress(ctx context.Context, natsURL, addr, secret string) error {
	nc, err := nats.Connect(natsURL)
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
		if _, err := js.Publish(r.Context(), subject, body); err != nil {
			http.Error(w, "not published", http.StatusServiceUnavailable)
		}
	})
	return serve(ctx, addr, mux)
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
