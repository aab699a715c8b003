package mongostore

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// maxAtOnce bounds the replacements under way at once.
const maxAtOnce = 8

// server finds out what serves MongoDB's protocol.
type server struct {
	database *mongo.Database
	mongoDB  atomic.Pointer[bool] // nil: not known yet
}

// isMongoDB reports whether writes to several documents may overlap. With FerretDB,
// which is the embedded database, states were seen that lacked what a replacement
// under way beside others had been confirmed to write. What does not answer is asked
// again.
func (s *server) isMongoDB(ctx context.Context) bool {
	if known := s.mongoDB.Load(); known != nil {
		return *known
	}
	info, err := s.database.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Raw()
	if err != nil {
		return false
	}
	is := !saysFerretDB(info)
	s.mongoDB.Store(&is)
	return is
}

func saysFerretDB(info bson.Raw) bool {
	elements, err := info.Elements()
	for _, e := range elements {
		if strings.HasPrefix(e.Key(), "ferretdb") {
			return true
		}
	}
	return err != nil
}

// forEach calls do for 0 to n-1, some at once, and waits for all.
func forEach(n, atOnce int, do func(i int)) {
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() { do(i); <-slots })
	}
	wg.Wait()
}
