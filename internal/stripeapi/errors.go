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

// ErrMissing is returned for an object that Stripe does not have: it was
// deleted, or it is an event of more than 30 days ago.
var ErrMissing = errors.New("it is not at Stripe")

// explain says what a failed call means. Everything but that the object is
// missing goes away by itself or by the operator's doing. Neither the key nor
// anything that was answered is quoted.
func (c *Client) explain(doing string, err error) error {
	var (
		told    *stripe.Error
		request *url.Error
		network net.Error
	)
	switch {
	case errors.As(err, &told):
		return fmt.Errorf("%s: %w", doing, ofStripe(told))
	case errors.As(err, &request) && fault.ReasonOf(request.Err) != fault.Other: // the transport's own
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
	return unexpected(doing, "it is none of Stripe's")
}

// ofStripe goes by status and code: the message of an error quotes what was
// sent.
func ofStripe(told *stripe.Error) error {
	if told.HTTPStatusCode == http.StatusNotFound && told.Code == stripe.ErrorCodeResourceMissing {
		return fault.New(fault.Permanent, fault.NotAtStripe, ErrMissing)
	}
	return fault.New(fault.Transient, fault.StripeRefused, fmt.Errorf(
		"answered %d %.60q by Stripe (request %.60q): check STRIPE_API_VERSION and STRIPE_API_BASE",
		told.HTTPStatusCode, told.Code, told.RequestID))
}

func unexpected(doing, why string) error {
	return fault.New(fault.Transient, fault.UnexpectedAnswer,
		fmt.Errorf("%s: unexpected answer: %s; check STRIPE_API_BASE and any proxy in between", doing, why))
}
