package view

import (
	"context"
	"fmt"
	"sync"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// listing lists the records of owners, by one query at a time. Those who come while one
// runs share the next: a database may have to read all records for it, however many owners
// it is about.
type listing struct {
	records func(ctx context.Context, of []store.AccessOwner) (map[store.AccessOwner][]string, error)

	turn chan struct{}
	mu   sync.Mutex
	next *listed
}

// listed is one query.
type listed struct {
	of   []store.AccessOwner
	done chan struct{}
	keys map[store.AccessOwner][]string
	err  error
}

func newListing(records func(context.Context, []store.AccessOwner) (map[store.AccessOwner][]string, error)) *listing {
	return &listing{records: records, turn: make(chan struct{}, 1)}
}

// recordsOf returns the keys of the records of an owner, as of a query that begins after
// this call.
func (l *listing) recordsOf(ctx context.Context, of store.AccessOwner) ([]string, error) {
	query := l.join(of)
	select {
	case l.turn <- struct{}{}:
		l.run(context.WithoutCancel(ctx), query)
		<-l.turn
	case <-query.done:
	case <-ctx.Done():
		return nil, busy(ctx.Err())
	}
	return query.keys[of], query.err
}

// join adds an owner to the next query.
func (l *listing) join(of store.AccessOwner) *listed {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == nil {
		l.next = &listed{done: make(chan struct{})}
	}
	l.next.of = append(l.next.of, of)
	return l.next
}

// run runs a query, unless another of those who share it has done that.
func (l *listing) run(ctx context.Context, query *listed) {
	l.mu.Lock()
	isNext := l.next == query
	if isNext {
		l.next = nil
	}
	l.mu.Unlock()
	if !isNext {
		return
	}
	defer close(query.done)
	defer func() {
		if r := recover(); r != nil { // not the value: it may contain part of the payload
			query.err = fault.New(fault.Transient, fault.Panicked, fmt.Errorf("listing records panicked with a %T", r))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	query.keys, query.err = l.records(ctx, query.of)
}
