package storetest

import (
	"testing"
	"time"

	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

var rereadTests = map[string]func(*testing.T, Backend){
	"everything comes in the order of time":     testEverything,
	"the progress of a replay is set and reset": testProgress,
}

func testEverything(t *testing.T, b Backend) {
	db := b.Connect()
	ignored := Entry("sub_1", "evt_a", "updated", 5, "active")
	ignored.Data.Ignored, ignored.Data.Subscription = "livemode", nil
	entries := []store.Entry{
		Entry("sub_2", "evt_b", "updated", 7, "active"), ignored,
		Entry("sub_1", "evt_c", "updated", 2, "active"), Entry("sub_1", "evt_d", "updated", 4, "active"),
	}
	equal(t, "inserting", "written written written written", outcomes(db.Insert(t.Context(), entries)))
	for from, want := range map[int][]string{0: {"evt_c", "evt_d", "evt_a", "evt_b"}, 5: {"evt_a", "evt_b"}, 8: nil} {
		var got []string
		for a, err := range b.Connect().Everything(t.Context(), kit.At(from)) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, a.ID)
		}
		equal(t, "events", want, got)
		if n, err := db.EverythingSize(t.Context(), kit.At(from)); n != int64(len(want)) || err != nil {
			t.Errorf("from %d: got %d, %v, want %d", from, n, err, len(want))
		}
	}
}

func testProgress(t *testing.T, b Backend) {
	db := b.Connect()
	for _, want := range []store.Progress{{What: "a", Reached: noon().Add(time.Millisecond)}, {What: "b", Reached: noon()}, {}, {}} {
		if err := db.SetProgress(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		got, err := b.Connect().Progress(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "progress", want, got)
	}
	if bucket, err := db.Completed(t.Context()); bucket != "" || err != nil {
		t.Errorf("the progress of the state view: got %q, %v", bucket, err)
	}
}
