// Command floor does the least that a correct program could do, so that others can be
// compared with it. As "floor ingress" it verifies webhooks and publishes them, as
// "floor ingress-id" with the id by which the stream drops repeated events; as "floor bulk"
// and "floor single" it writes documents to MongoDB from memory. Package
// bench runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: floor ingress|ingress-id|bulk|single")
	}
	switch args[0] {
	case "ingress", "ingress-id":
		return ingress(ctx, args[0] == "ingress-id")
	case "bulk", "single":
		return persist(ctx, args[0] == "bulk")
	}
	return fmt.Errorf("unknown floor %q", args[0])
}

// serve serves until ctx is done.
func serve(ctx context.Context, addr string, handler http.Handler) error {
	server := &http.Server{Addr: addr, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
