package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/billbus/billbus/internal/stripesim"
)

const webhookPath = "/webhooks/stripe"

// requests returns the webhooks of events, signed now, as the bytes to be sent: while it is
// measured, sending costs little.
func requests(addr string, bodies [][]byte) [][]byte {
	list := make([][]byte, len(bodies))
	now := time.Now()
	for i, body := range bodies {
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json; charset=utf-8\r\nStripe-Signature: %s\r\nContent-Length: %d\r\n\r\n",
			webhookPath, addr, stripesim.Sign(body, secret, now), len(body))
		list[i] = append([]byte(head), body...)
	}
	return list
}

// load sends requests over some connections that are kept open.
type load struct {
	conns []net.Conn
}

func newLoad(addr string, connections int) (*load, error) {
	l := &load{}
	for range connections {
		conn, err := net.Dial("tcp", addr) //nolint:noctx // on this machine
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, conn)
	}
	return l, nil
}

func (l *load) close() {
	for _, conn := range l.conns {
		_ = conn.Close()
	}
}

// result is what came of some requests.
type result struct {
	start     time.Time
	took      time.Duration
	latencies []float64 // in ms
	failures  []error
}

// send sends all requests: as fast as possible, or so many a second. Then latency counts
// from the moment at which a request was to be sent, so one that waits for a connection
// counts as slow.
func (l *load) send(list [][]byte, perSecond float64) result {
	var next atomic.Int64
	var mu sync.Mutex
	var all result
	var work sync.WaitGroup
	start := time.Now()
	for _, conn := range l.conns {
		work.Go(func() {
			s := sender{conn: conn, in: bufio.NewReader(conn), start: start, perSecond: perSecond}
			for i := next.Add(1) - 1; int(i) < len(list) && s.err == nil; i = next.Add(1) - 1 {
				s.send(list[i], i)
			}
			mu.Lock()
			defer mu.Unlock()
			all.latencies = append(all.latencies, s.latencies...)
			if s.err != nil {
				all.failures = append(all.failures, s.err)
			}
		})
	}
	work.Wait()
	all.start, all.took = start, time.Since(start)
	return all
}

// sender uses one connection.
type sender struct {
	conn      net.Conn
	in        *bufio.Reader
	start     time.Time
	perSecond float64
	latencies []float64
	err       error
}

func (s *sender) send(request []byte, i int64) {
	due := time.Now()
	if s.perSecond > 0 {
		due = dueAt(s.start, i, s.perSecond)
		time.Sleep(time.Until(due))
	}
	s.err = s.exchange(request)
	s.latencies = append(s.latencies, time.Since(due).Seconds()*1000)
}

// dueAt returns when request i is to be sent.
func dueAt(start time.Time, i int64, perSecond float64) time.Time {
	return start.Add(time.Duration(float64(i) / perSecond * float64(time.Second)))
}

func (s *sender) exchange(request []byte) error {
	if _, err := s.conn.Write(request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("got status %d", answer.StatusCode)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
