package main

import (
	"fmt"
	"slices"

	"github.com/billbus/billbus/test/kit"
)

// growth measures how the cost of an event grows: with ten times the events of each
// subscription, ten times the subscriptions, and both. It begins with half of the events,
// since a shorter run would end before its garbage is collected, and a tenth of the
// subscriptions.
func (b *bench) growth() error {
	events, subscriptions := b.events/2, b.subscriptions/10
	sizes := []struct {
		name                  string
		events, subscriptions int
	}{
		{"small", events, subscriptions},
		{"history × 10", events * 10, subscriptions},
		{"subscriptions × 10", events, subscriptions * 10},
		{"backlog × 10", events * 10, subscriptions * 10},
	}
	for _, database := range b.databases {
		for _, size := range sizes {
			err := b.within(func(t *kit.Trial) {
				s := b.prepare(t, database, size.events, size.subscriptions)
				list := slices.DeleteFunc(b.drainers(s, 0), func(c contestant) bool { return c.name != floorBulk && c.name != billbusName })
				b.alternate("growth", fmt.Sprintf("%s: %s", size.name, s), list)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
