package mongostore

import (
	"context"
	"iter"
	"time"
)

const (
	// maxResumes bounds how often in a row a scan is resumed without reading anything.
	maxResumes = 5
	// resumeDelay is multiplied by the number of failures in a row.
	resumeDelay = time.Second
)

// scan finds documents in the order of a key.
type scan[Document any] struct {
	find  func(from string) query
	place func(Document) (key, id string)

	from     string          // the key of the latest document
	seen     map[string]bool // ids of the documents with this key
	failures int             // in a row
}

// resumed yields what a scan finds. If the cursor breaks, as in a failover or because
// the server has forgotten it, the scan goes on with the key of the latest document, and
// leaves out those with this key that it has yielded.
func (s *scan[Document]) resumed(ctx context.Context) iter.Seq2[Document, error] {
	s.seen = map[string]bool{}
	return func(yield func(Document, error) bool) {
		for {
			stopped, err := s.run(ctx, yield)
			if stopped || err == nil {
				return
			}
			if s.from == "" || s.failures == maxResumes || !pause(ctx, time.Duration(s.failures)*resumeDelay) {
				var none Document
				yield(none, err)
				return
			}
			s.failures++
		}
	}
}

// run yields what one cursor finds. It reports whether the caller has stopped.
func (s *scan[Document]) run(ctx context.Context, yield func(Document, error) bool) (stopped bool, err error) {
	for doc, err := range each[Document](ctx, s.find(s.from)) {
		if err != nil {
			return false, err
		}
		key, id := s.place(doc)
		if key != s.from {
			s.from = key
			clear(s.seen)
		}
		if s.seen[id] {
			continue
		}
		s.seen[id], s.failures = true, 0
		if !yield(doc, nil) {
			return true, nil
		}
	}
	return false, nil
}

// pause reports whether it has waited to the end.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
