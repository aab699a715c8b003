package chaos

import (
	"slices"
	"sync"
	"time"

	"github.com/billbus/billbus/test/chaos/report"
	"github.com/billbus/billbus/test/kit/proxy"
)

func heal(p *proxy.Proxy) error { return p.Heal() }

// suffer lets all faults happen, each at its time, and waits until they are over.
func (r *run) suffer() {
	if planned(r.faults, "disk-full") {
		r.line("%s", r.disk)
	}
	var work sync.WaitGroup
	defer work.Wait()
	for _, f := range r.faults {
		r.Wait(time.Until(r.began.Add(f.At)))
		work.Go(func() { r.alone(f, func() { r.happen(f) }) })
	}
	r.Wait(time.Until(r.began.Add(r.cfg.Duration)))
}

// alone waits for faults that are late and touch the same.
func (r *run) alone(f Fault, do func()) {
	touched := r.kind(f).touches(r.shape, f.Target)
	slices.Sort(touched) // two faults must not wait for each other
	for _, name := range touched {
		r.locks[name].Lock()
		defer r.locks[name].Unlock()
	}
	do()
}

// happen lets one fault happen.
func (r *run) happen(f Fault) {
	begin := time.Now()
	r.show.Describe(f.String())
	r.line("%6.1f s  %-30s %s", begin.Sub(r.began).Seconds(), f, f.Length.Round(100*time.Millisecond))
	r.log.Info("fault", "kind", f.Kind, "target", f.Target, "length", f.Length.String())
	err := r.kind(f).do(r, f)
	r.log.Info("fault is over", "kind", f.Kind, "target", f.Target, "error", message(err))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.happened = append(r.happened, report.Fault{Kind: f.Kind, Target: f.Target, Begin: begin, End: time.Now()})
	if err != nil {
		r.missed++
		r.line("%s could not be brought about: %v", f, err)
		if f.Target == "" && slices.Contains([]string{"replay", "import"}, f.Kind) {
			r.failedDuties[f.Kind] = f
		}
	}
}
