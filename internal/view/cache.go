package view

import "sync"

// cache remembers a limited number of values. It forgets any one of them to make room.
type cache[T any] struct {
	mu     *sync.Mutex
	values map[string]T
	most   int
}

func newCache[T any](most int) cache[T] { return cache[T]{&sync.Mutex{}, map[string]T{}, most} }

func (c cache[T]) get(key string) (T, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, ok := c.values[key]
	return value, ok
}

func (c cache[T]) put(key string, value T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.values[key]; !ok && len(c.values) >= c.most {
		for other := range c.values {
			delete(c.values, other)
			break
		}
	}
	c.values[key] = value
}

func (c cache[T]) remove(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.values, key)
}

func (c cache[T]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.values)
}
