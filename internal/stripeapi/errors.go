package stripeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/stripe/stripe-go/v76"

	"github.com/billbus/billbus/internal/fault"
)

// ErrMissing is returned for an object that Stripe does not have: it was deleted, or
// it is an event from more than 30 days ago.
var ErrMissing = errors.New("it is not at Stripe")

// explain finds the meaning of a failed call. Every failure is transient, except that
// the object is missing. The error quotes neither the key nor the answer.
func (c *Client) explain(doing string, err error) error {
	var (
		answer  *stripe.Error
		request *url.Error
		network net.Error
	)
	switch {
	case errors.As(err, &answer):
		return fmt.Errorf("%s: %w", doing, refused(answer))
	case errors.As(err, &request) && fault.ReasonOf(request.Err) != fault.Other: // from our transport
		return fmt.Errorf("%s: %w", doing, request.Err)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Transient, fault.StripeTimeout, fmt.Errorf("%s: no answer in %s", doing, c.timeout))
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Transient, fault.Canceled, fmt.Errorf("%s: %w", doing, context.Canceled))
	case errors.As(err, &request):
		return fault.New(fault.Transient, fault.StripeUnreachable, fmt.Errorf("%s: %w", doing, request.Err))
	case errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Transient, fault.StripeUnreachable, fmt.Errorf("%s: the connection broke", doing))
	}
	return unexpected(doing, "it is not an answer of Stripe's API")
}

// refused uses the status and the code only: the message of an error may quote what
// was sent.
func refused(answer *stripe.Error) error {
	if answer.HTTPStatusCode == http.StatusNotFound && answer.Code == stripe.ErrorCodeResourceMissing {
		return fault.New(fault.Permanent, fault.NotAtStripe, ErrMissing)
	}
	return fault.New(fault.Transient, fault.StripeRefused, fmt.Errorf(
		"status %d %.60q from Stripe (request %.60q): check STRIPE_API_VERSION and STRIPE_API_BASE",
		answer.HTTPStatusCode, answer.Code, answer.RequestID))
}

func unexpected(doing, why string) error {
	return fault.New(fault.Transient, fault.UnexpectedAnswer,
		fmt.Errorf("%s: unexpected answer: %s; check STRIPE_API_BASE and any proxy in between", doing, why))
}
