package attack_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/test/attack"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// speak sends raw bytes, and returns the statuses of all answers until the connection is
// closed. After the last of wanted it closes the connection itself.
func speak(t *testing.T, addr, raw string, wanted int) (statuses []int) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	go func() { _, _ = io.WriteString(conn, raw) }()
	for in := bufio.NewReader(conn); ; {
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
				t.Errorf("no answer: %v", err)
			}
			return statuses
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if statuses = append(statuses, answer.StatusCode); len(statuses) == wanted && answer.StatusCode == http.StatusOK {
			return statuses
		}
	}
}

func request(method, target string, body []byte, headers ...string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nStripe-Signature: %s\r\n%s\r\n%s",
		method, target, kit.Sign(body, secret, time.Now()), strings.Join(append(headers, ""), "\r\n"), body)
}

// sized returns a valid webhook.
func sized(body []byte, headers ...string) string {
	return request("POST", path, body, append(headers, fmt.Sprint("Content-Length: ", len(body)))...)
}

func chunks(body []byte) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", len(body), body) }

// Whatever one sender and the bridge understand differently, no other request comes of it.
func TestRequestsThatAreReadDifferently(t *testing.T) {
	t.Parallel()
	b := start(t)
	hidden := sized(event("evt_hidden"))
	body := event("evt_1")
	signature := "Stripe-Signature: " + kit.Sign(body, secret, time.Now())
	head := "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + signature + "\r\n"
	for name, tt := range map[string]struct {
		raw  string
		want []int
	}{
		"pipelined":                        {strings.Repeat(sized(body), 20), slices.Repeat([]int{200}, 20)},
		"pipelined after a refusal":        {sized(nil) + hidden, []int{400}},
		"length and chunks":                {head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + string(chunks(body)), []int{200}},
		"length of a hidden request":       {head + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 5+len(hidden)) + hidden, []int{400}},
		"chunks twice":                     {head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + string(chunks(body)) + hidden, []int{501}},
		"unknown coding":                   {head + "Transfer-Encoding: xchunked\r\n\r\n" + string(chunks(body)) + hidden, []int{501}},
		"two lengths":                      {head + fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n\r\n", len(body)) + string(body), []int{400}},
		"negative length":                  {head + "Content-Length: -1\r\n\r\n" + hidden, []int{400}},
		"length with a sign":               {head + "Content-Length: +4\r\n\r\n" + hidden, []int{400}},
		"line with a space":                {head + "Content-Length : 4\r\n\r\n" + hidden, []int{400}},
		"folded line":                      {head + "X: a\r\n Content-Length: 0\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + string(body), []int{200}},
		"chunk with a wrong length":        {head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + hidden, []int{400}},
		"no host":                          {strings.Replace(sized(body), "Host: x\r\n", "", 1), []int{400}},
		"two hosts":                        {sized(body, "Host: y"), []int{400}},
		"HTTP/2 without TLS":               {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", []int{404}},
		"an upgrade to HTTP/2":             {sized(body, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), []int{200}},
		"an upgrade to a WebSocket":        {request("GET", path, nil, "Connection: Upgrade", "Upgrade: websocket"), []int{405}},
		"another version":                  {strings.Replace(sized(body), "1.1", "3.0", 1), []int{505}},
		"CONNECT":                          {request("CONNECT", "x:80", nil), []int{404}},
		"a proxy's request":                {request("POST", "http://y"+path, nil, "Content-Length: 0"), []int{400}},
		"TRACE":                            {request("TRACE", path, nil), []int{405}},
		"OPTIONS":                          {request("OPTIONS", "*", nil), []int{404}},
		"unknown method":                   {request("FOO", path, nil) + hidden, []int{405}},
		"method with a zero":               {request("PO\x00ST", path, nil) + hidden, []int{400}},
		"expectation":                      {sized(body, "Expect: 200-ok"), []int{417}},
		"100-continue without a signature": {"POST " + path + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", []int{400}},
		"TLS":                              {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400}},
		"nothing but lines":                {strings.Repeat("\r\n", 100), []int{400}},
		"1,001 headers":                    {"POST " + path + " HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 1001) + "\r\n", nil},
		"300 kB of header":                 {"POST " + path + " HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", 300<<10) + "\r\n\r\n", []int{431}},
	} {
		if got := speak(t, b.addr, tt.raw, len(tt.want)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
	if got := natstest.Count(t, natstest.JetStream(t, b.nats), "BILLBUS"); got != 1 {
		t.Errorf("got %d messages, want evt_1 alone", got)
	}
}

// A body that nobody has signed is not read as JSON, so its shape costs nothing.
func TestUnsignedBodiesAreAllRefusedAlike(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, body := range []string{"{}", "not JSON", string(attack.Nested(9_000, 900_000)), strings.Repeat("[", 900_000)} {
		got, err := kit.Post("http://"+b.addr+path, []byte(body), kit.Sign([]byte(body), "whsec_another", time.Now()))
		if err != nil || got.Status != http.StatusBadRequest || got.Body != `{"error":"signature verification failed"}` {
			t.Errorf("got %d %s, %v", got.Status, got.Body, err)
		}
	}
}

// The admin address is answered during an attack on it, and so are webhooks.
func TestAttackOnTheAdminAddress(t *testing.T) {
	t.Parallel()
	for _, a := range attack.All("/metrics", secret) {
		if !slices.Contains([]string{"slow-headers", "slow-bodies", "huge-chunked", "many-headers"}, a.Name) {
			continue
		}
		t.Run(a.Name, func(t *testing.T) {
			b := start(t)
			stop := b.attacked(t, a, b.admin)
			for range 20 {
				if got := kit.Get("http://" + b.admin + "/healthz"); got.Status != http.StatusOK {
					t.Errorf("got %d %s", got.Status, got.Body)
				}
			}
			took := b.accepts(t)
			stop()
			b.check(t, took)
		})
	}
}
