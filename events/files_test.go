package events_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
)

func TestFilesAreInside(t *testing.T) {
	t.Parallel()
	for name, got := range map[string][]byte{"message.schema.json": events.Schema(), "record.schema.json": events.RecordSchema(), "asyncapi.yaml": events.AsyncAPI()} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-file +inside):\n%s", name, diff)
		}
	}
}
