package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/billbus/billbus/test/kit"
)

// watch is what was seen of the programs while they ran.
type watch struct {
	mu          sync.Mutex
	fault       time.Time                // when it began
	fired       map[string]time.Duration // alerts, and how long after that they fired
	bridgeKB    int                      // memory at the peak
	subKB       int
	redelivered counter
}

// look looks at the programs once a second until done is closed.
func (d *deployment) look(done <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		d.lookOnce()
		select {
		case <-done:
			return
		case <-ticker.C:
		}
	}
}

func (d *deployment) lookOnce() {
	bridge, _ := d.bridge.PeakMemory() // it may just be down
	subscriber, _ := d.subscriber.PeakMemory()
	metrics, alerts := kit.Get(d.subscriber.Admin+"/metrics").Body, []string(nil)
	if d.prometheus != "" {
		alerts = firing(kit.Get(d.prometheus + "/api/v1/alerts").Body)
	}
	w := &d.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bridgeKB, w.subKB = max(w.bridgeKB, bridge), max(w.subKB, subscriber)
	if n, ok := kit.Metric(metrics, "billbus_consumer_redeliveries_total"); ok {
		w.redelivered.see(n)
	}
	for _, name := range alerts {
		if _, known := w.fired[name]; !known {
			w.fired[name] = time.Since(w.fault)
		}
	}
}

// begin notes that the fault begins.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault, w.fired = time.Now(), map[string]time.Duration{}
}

// counter adds up a counter that begins at 0 when its program is restarted.
type counter struct{ before, last float64 }

func (c *counter) see(n float64) {
	if n < c.last {
		c.before += c.last
	}
	c.last = n
}

func (c *counter) total() int { return int(c.before + c.last) }

// firing returns the names of the alerts that fire, from Prometheus' list of alerts.
func firing(answer string) []string {
	var list struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	if json.Unmarshal([]byte(answer), &list) != nil {
		return nil
	}
	var names []string
	for _, a := range list.Data.Alerts {
		if a.State == "firing" {
			names = append(names, a.Labels["alertname"])
		}
	}
	return names
}

// lines are how many lines a program has logged.
type lines struct {
	All    int `json:"all"`
	Severe int `json:"warnings_and_errors"`
}

func (l lines) String() string { return fmt.Sprintf("%d (%d)", l.All, l.Severe) }

func logged(path string) (lines, error) {
	text, err := os.ReadFile(path)
	return count(text), err
}

func count(log []byte) lines {
	var n lines
	for line := range bytes.Lines(log) {
		n.All++
		if bytes.Contains(line, []byte(`"level":"WARN"`)) || bytes.Contains(line, []byte(`"level":"ERROR"`)) {
			n.Severe++
		}
	}
	return n
}
