package verify

import "iter"

// side is one of two streams that are read side by side.
type side[T any] struct {
	next func() (T, error, bool)
	stop func()
	key  func(T) string
	head T
	done bool
	err  error
}

func newSide[T any](seq iter.Seq2[T, error], key func(T) string) *side[T] {
	next, stop := iter.Pull2(seq)
	s := &side[T]{next: next, stop: stop, key: key}
	s.advance()
	return s
}

func (s *side[T]) advance() {
	head, err, ok := s.next()
	s.head, s.err, s.done = head, err, !ok || err != nil
}

// has reports whether the next one is of that key. What comes out of order is
// taken with the key at hand, and not lost.
func (s *side[T]) has(key string) bool { return !s.done && s.key(s.head) <= key }

func (s *side[T]) take() T {
	head := s.head
	s.advance()
	return head
}

// least returns the lesser key of the two heads.
func least[A, B any](a *side[A], b *side[B]) string {
	switch {
	case a.done:
		return b.key(b.head)
	case b.done:
		return a.key(a.head)
	}
	return min(a.key(a.head), b.key(b.head))
}
