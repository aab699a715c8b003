package verify

import "iter"

// cursor reads a sequence and looks one element ahead. Two sequences in the order of
// their keys can be read side by side with it.
type cursor[T any] struct {
	next func() (T, error, bool)
	stop func()
	key  func(T) string
	head T
	done bool
	err  error
}

func newCursor[T any](seq iter.Seq2[T, error], key func(T) string) *cursor[T] {
	next, stop := iter.Pull2(seq)
	c := &cursor[T]{next: next, stop: stop, key: key}
	c.advance()
	return c
}

func (c *cursor[T]) advance() {
	head, err, ok := c.next()
	c.head, c.err, c.done = head, err, !ok || err != nil
}

// has reports whether the next element has a key. An element that is out of order is
// not lost, but taken with that key.
func (c *cursor[T]) has(key string) bool { return !c.done && c.key(c.head) <= key }

func (c *cursor[T]) take() T {
	head := c.head
	c.advance()
	return head
}

// leastKey returns the lesser of the two next keys.
func leastKey[A, B any](a *cursor[A], b *cursor[B]) string {
	switch {
	case a.done:
		return b.key(b.head)
	case b.done:
		return a.key(a.head)
	}
	return min(a.key(a.head), b.key(b.head))
}
