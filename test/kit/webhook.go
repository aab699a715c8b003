package kit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Sign returns the Stripe-Signature header of a webhook.
func Sign(body []byte, secret string, at time.Time) string {
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), MAC(body, secret, at))
}

// MAC returns the signature alone, in hexadecimal.
func MAC(body []byte, secret string, at time.Time) string {
	h := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(h, "%d.", at.Unix())
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// Response is an answer to a request.
type Response struct {
	Status int
	Body   string
	Header http.Header
}

// Post sends a webhook with the given signature, or without one if it is "".
func Post(url string, body []byte, signature string) (Response, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return Response{}, err
	}
	if signature != "" {
		req.Header.Set("Stripe-Signature", signature)
	}
	return Do(req)
}

// Do sends a request. It takes at most ten seconds, and follows no redirect.
func Do(req *http.Request) (Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), 10*time.Second)
	defer cancel()
	resp, err := http.DefaultTransport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return Response{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return Response{Status: resp.StatusCode, Body: string(text), Header: resp.Header}, err
}

// Get reads a URL. The status is 0 if there was no answer.
func Get(url string) Response {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return Response{}
	}
	resp, err := Do(req)
	if err != nil {
		return Response{}
	}
	return resp
}
