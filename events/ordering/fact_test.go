package ordering_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/billbus/billbus/events/ordering"
)

// FuzzMember finds a member like encoding/json.
func FuzzMember(f *testing.F) {
	for _, seed := range []string{
		`{"request":null}`, `{"a":{"request":1},"request":{"id":"req_1","x":[{}]},"b":[{"request":2}]}`, `{"request":"req_1"}`,
		` { "s" : "\"request\":{" , "request" : [ 1 , 2 ] , "request":-1.5e3 } `, `{"x":"request","y":"\\","request":true}`,
		`{}`, `[]`, `["request",{"request":1}]`, `"request"`, `{"a":1}`, `{"request":{"request":3},"z":"}"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) || bytes.Contains(raw, []byte(`\u`)) { // a name is not unescaped
			return
		}
		var members map[string]json.RawMessage
		_ = json.Unmarshal(raw, &members)
		if got, want := bytes.TrimSpace(ordering.Member(raw, `"request"`)), members["request"]; !bytes.Equal(got, want) {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	})
}
