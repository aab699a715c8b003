package mongostore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

// secret is in every text that the server sends with an error.
const secret = "jane@example.com"

func writeError(index, code int) mongo.BulkWriteError {
	return mongo.BulkWriteError{WriteError: mongo.WriteError{
		Index: index, Code: code, Message: `E11000 dup key: { _id: "` + secret + `" }`, Details: []byte(secret), Raw: []byte(secret),
	}}
}

// collision is the error of a document that collides in a unique index.
func collision(index int, name, field string) mongo.BulkWriteError {
	raw, err := bson.Marshal(bson.D{{Key: "keyPattern", Value: bson.D{{Key: field, Value: 1}}}, {Key: "keyValue", Value: bson.D{{Key: field, Value: secret}}}})
	if err != nil {
		panic(err)
	}
	text := fmt.Sprintf(`E11000 duplicate key error collection: billbus.webhook_events index: %s dup key: { %s: "%s" }`, name, field, secret)
	return mongo.BulkWriteError{WriteError: mongo.WriteError{Index: index, Code: codeDuplicateKey, Message: text, Raw: raw}}
}

func bulkError(errs ...mongo.BulkWriteError) mongo.BulkWriteException {
	return mongo.BulkWriteException{WriteErrors: errs}
}

func unconfirmed(errs ...mongo.BulkWriteError) mongo.BulkWriteException {
	e := bulkError(errs...)
	e.WriteConcernError = &mongo.WriteConcernError{Name: "WriteConcernTimeout", Code: 64, Message: secret, Details: []byte(secret)}
	return e
}

// outcome returns the outcome of one document of a bulk write, in words.
func outcome(err error) string {
	switch {
	case err == nil:
		return "written"
	case isDuplicate(err):
		return "duplicate"
	}
	explained := explain("writing", err)
	return fault.KindOf(explained).String() + " " + string(fault.ReasonOf(explained))
}

func TestPerDocument(t *testing.T) {
	t.Parallel()
	const failed = "transient database_failed"
	cases := map[string]struct {
		err  error
		want []string
	}{
		"no error":      {nil, []string{"written", "written", "written"}},
		"one duplicate": {bulkError(writeError(1, 11000)), []string{"written", "duplicate", "written"}},
		"mixed": {
			bulkError(writeError(2, 10334), writeError(0, 11000)),
			[]string{"duplicate", "written", "permanent database_refused"},
		},
		"one that another index forbids":  {bulkError(collision(1, "by_user", "user_id")), []string{"written", "permanent database_refused", "written"}},
		"wrapped":                         {fmt.Errorf("inserting: %w", bulkError(writeError(0, 11000))), []string{"duplicate", "written", "written"}},
		"written, but not confirmed":      {unconfirmed(), []string{failed, failed, failed}},
		"duplicate, but not confirmed":    {unconfirmed(writeError(1, 11000)), []string{failed, failed, failed}},
		"refused, but not confirmed":      {unconfirmed(writeError(1, 121)), []string{failed, failed, failed}},
		"the command failed":              {mongo.CommandError{Code: 11000, Name: "DuplicateKey", Message: secret}, []string{failed, failed, failed}},
		"the command failed as too large": {mongo.CommandError{Code: 10334, Message: secret}, []string{failed, failed, failed}},
		"timeout":                         {context.DeadlineExceeded, slices.Repeat([]string{"transient database_timeout"}, 3)},
		"anything else":                   {errors.New(secret), []string{failed, failed, failed}},
		"an index out of range":           {bulkError(writeError(3, 11000), writeError(-1, 121)), []string{failed, failed, failed}},
		"no error in particular":          {bulkError(), []string{failed, failed, failed}},
		"another kind of write exception": {mongo.WriteException{WriteErrors: []mongo.WriteError{{Code: 11000}}}, []string{failed, failed, failed}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, err := range perDocument(tt.err, 3) {
				got = append(got, outcome(err))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("perDocument (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIsDuplicate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"nothing":              {nil, false},
		"E11000":               {writeError(0, 11000).WriteError, true},
		"E11000, wrapped":      {fmt.Errorf("x: %w", writeError(0, 11000).WriteError), true},
		"another code":         {writeError(0, 11001).WriteError, false},
		"a text with the code": {errors.New("E11000 duplicate key"), false},
		"a bulk error":         {bulkError(writeError(0, 11000)), false},
		"unknown outcome":      {unknownOutcome{writeError(0, 11000).WriteError}, false},
		"_id":                  {collision(0, "_id_", "_id").WriteError, true},
		"_id, without pattern": {mongo.WriteError{Code: 11000, Message: "E11000 duplicate key error collection: a.b index: _id_ dup key: { _id: 1 }"}, true},
		"another index":        {collision(0, "by_user", "user_id").WriteError, false},
		"another, by its text": {mongo.WriteError{Code: 11000, Message: "E11000 duplicate key error collection: a.b index: u collation: { locale: \"de\" } dup key: { u: 1 }"}, false},
		"a command error":      {mongo.CommandError{Code: 11000}, false},
	} {
		if got := isDuplicate(tt.err); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

func TestOnlyFewCodesArePermanent(t *testing.T) {
	t.Parallel()
	permanent := map[int]bool{121: true, 10334: true, 17419: true, 17420: true, 17280: true}
	for code := range 20_000 {
		err := explain("writing", writeError(0, code).WriteError)
		want, reason := fault.Transient, "database_failed"
		if permanent[code] {
			want, reason = fault.Permanent, "database_refused"
		}
		if got := fault.KindOf(err); got != want || fault.ReasonOf(err) != fault.Reason(reason) {
			t.Errorf("code %d: got %v for %s, want %v for %s", code, got, fault.ReasonOf(err), want, reason)
		}
	}
}

func TestErrorsQuoteNoDocument(t *testing.T) {
	t.Parallel()
	if explain("writing", nil) != nil {
		t.Error("explain(nil): got an error")
	}
	cases := map[string]struct {
		err  error
		want string
	}{
		"write error":         {writeError(0, 121).WriteError, "writing: MongoDB refused the write with code 121"},
		"unique index":        {collision(0, "by_user", "user_id").WriteError, `writing: the unique index "by_user" forbids the document: Billbus did not create this index, so drop it`},
		"write concern error": {unknownOutcome{unconfirmed(writeError(0, 11000))}, "writing: MongoDB could not confirm the write: code 64 WriteConcernTimeout"},
		"command error":       {mongo.CommandError{Code: 59, Name: "CommandNotFound", Message: secret}, "writing: MongoDB failed with code 59 CommandNotFound"},
		"unknown command":     {unknownOutcome{mongo.CommandError{Code: 91, Name: "ShutdownInProgress", Message: secret}}, "writing: MongoDB failed with code 91 ShutdownInProgress"},
		"nothing found":       {mongo.ErrNoDocuments, "writing: " + mongo.ErrNoDocuments.Error()},
		"deadline":            {fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), "writing: " + timedOut().text},
		"network":             {mongo.CommandError{Labels: []string{"NetworkError"}, Message: secret}, "writing: network error: check the hosts in MONGODB_URI, and the network"},
		"anything else":       {errors.New(secret), "writing: the driver failed"},
		"bulk without causes": {unknownOutcome{errors.New(secret)}, "writing: the driver failed"},
	}
	for name, tt := range cases {
		got := explain("writing", tt.err).Error()
		if got != tt.want || strings.Contains(got, secret) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func TestSingle(t *testing.T) {
	t.Parallel()
	duplicate := mongo.WriteError{Code: codeDuplicateKey}
	const unknown = "transient database_failed"
	cases := map[string]struct {
		err       error
		duplicate bool
		want      string // kind and reason
	}{
		"duplicate":                            {mongo.WriteException{WriteErrors: mongo.WriteErrors{duplicate}}, true, "transient database_failed"},
		"duplicate as a command error":         {mongo.CommandError{Code: codeDuplicateKey}, true, "transient database_failed"},
		"collision in another index":           {mongo.WriteException{WriteErrors: mongo.WriteErrors{collision(0, "by_user", "user_id").WriteError}}, false, "permanent database_refused"},
		"the same as a command error":          {mongo.CommandError{Code: codeDuplicateKey, Message: "x", Raw: collision(0, "by_user", "user_id").Raw}, false, "permanent database_refused"},
		"duplicate with a write concern error": {mongo.WriteException{WriteErrors: mongo.WriteErrors{duplicate}, WriteConcernError: &mongo.WriteConcernError{Code: 64}}, false, unknown},
		"write concern error alone":            {mongo.WriteException{WriteConcernError: &mongo.WriteConcernError{Code: 64}}, false, unknown},
		"document that is too large":           {mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: codeTooLargeReplaced}}}, false, "permanent database_refused"},
		"unknown code":                         {mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: 4711}}}, false, "transient database_failed"},
		"no cause":                             {mongo.WriteException{}, false, unknown},
		"network error":                        {errors.New("broken pipe"), false, unknown},
	}
	for name, tt := range cases {
		failure := single(tt.err)
		if failure == nil {
			t.Errorf("%s: counts as written", name)
			continue
		}
		err := explain("replacing record", failure)
		if got := fault.KindOf(err).String() + " " + string(fault.ReasonOf(err)); got != tt.want || isDuplicate(failure) != tt.duplicate {
			t.Errorf("%s: got %s, duplicate %v; want %s, %v", name, got, isDuplicate(failure), tt.want, tt.duplicate)
		}
	}
	if err := single(nil); err != nil {
		t.Errorf("got %v for a write that succeeded", err)
	}
}

func TestReplaced(t *testing.T) {
	t.Parallel()
	failure := errors.New("no answer")
	for name, tt := range map[string]struct {
		res  *mongo.UpdateResult
		err  error
		want string
	}{
		"replaced": {&mongo.UpdateResult{MatchedCount: 1, ModifiedCount: 1}, nil, "written"},
		"the same": {&mongo.UpdateResult{MatchedCount: 1}, nil, "written"},
		"inserted": {&mongo.UpdateResult{UpsertedCount: 1}, nil, "written"},
		"neither":  {&mongo.UpdateResult{}, nil, "transient database_failed"},
		"failed":   {nil, failure, "transient database_failed"},
	} {
		if got := outcome(single(replaced(tt.res, tt.err))); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}

func TestSaysFerretDB1(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		info bson.D
		want bool
	}{
		"MongoDB":    {bson.D{{Key: "version", Value: "8.0.4"}, {Key: "ok", Value: 1.0}}, false},
		"FerretDB 1": {bson.D{{Key: "version", Value: "7.0.42"}, {Key: "ferretdbVersion", Value: "v1.24.2"}}, true},
		"FerretDB 2": {bson.D{{Key: "version", Value: "7.0.77"}, {Key: "ferretdb", Value: bson.D{}}}, false},
	} {
		raw, err := bson.Marshal(tt.info)
		if err != nil {
			t.Fatal(err)
		}
		if got := saysFerretDB1(raw); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
	if !saysFerretDB1(bson.Raw("no document")) {
		t.Error("an unreadable answer counts as MongoDB")
	}
}

// Another publisher may write empty lists, which are not in a message that comes from
// the audit trail. They must not make a difference in the record.
func TestFieldsLeaveOutEmptyLists(t *testing.T) {
	t.Parallel()
	empty := events.Subscription{
		ID: "sub_1", Metadata: map[string]string{}, Items: []events.Item{}, Discounts: []events.Discount{},
		CancelAtPeriodEnd: new(false), DaysUntilDue: new(int64(0)),
	}
	least := events.Subscription{ID: "sub_1", CancelAtPeriodEnd: new(false), DaysUntilDue: new(int64(0))}
	if diff := cmp.Diff(subscriptionFields(least), subscriptionFields(empty)); diff != "" {
		t.Errorf("empty lists (-without +with):\n%s", diff)
	}
	var names []string
	for _, e := range subscriptionFields(least) {
		names = append(names, e.Key)
	}
	if diff := cmp.Diff([]string{"subscription_id", "livemode", "cancel_at_period_end", "days_until_due"}, names); diff != "" {
		t.Errorf("fields that are false or 0 stay (-want +got):\n%s", diff)
	}
}

func TestBySize(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		sizes []int
		want  []part
	}{
		"none":                    {nil, nil},
		"all in one":              {[]int{3, 3, 4}, []part{{0, 3}}},
		"one more":                {[]int{3, 3, 4, 1}, []part{{0, 3}, {3, 4}}},
		"one larger than a part":  {[]int{20}, []part{{0, 1}}},
		"a large one in between":  {[]int{1, 20, 1}, []part{{0, 1}, {1, 2}, {2, 3}}},
		"each as large as a part": {[]int{10, 10}, []part{{0, 1}, {1, 2}}},
	} {
		docs := make([]any, len(tt.sizes))
		for i, n := range tt.sizes {
			docs[i] = make(bson.Raw, n)
		}
		if got := bySize(docs, 10); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}
