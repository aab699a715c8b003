package mongostore

import (
	"context"
	"strings"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// server finds out which product serves MongoDB's protocol.
type server struct {
	database *mongo.Database
	mongoDB  atomic.Pointer[bool] // nil: not known yet
}

// isMongoDB reports whether replacements of several documents may run at the same
// time. On FerretDB, the embedded database, records were found to lack confirmed
// writes after that. If the server does not answer, this is false, and it is asked again next
// time. What would be wrong on MongoDB needs ask.
func (s *server) isMongoDB(ctx context.Context) bool {
	is, err := s.ask(ctx)
	return is && err == nil
}

// saidMongoDB reports whether the server has already said that it is MongoDB.
func (s *server) saidMongoDB() bool {
	known := s.mongoDB.Load()
	return known != nil && *known
}

func (s *server) ask(ctx context.Context) (isMongoDB bool, err error) {
	if known := s.mongoDB.Load(); known != nil {
		return *known, nil
	}
	info, err := s.database.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Raw()
	if err != nil {
		return false, err
	}
	is := !saysFerretDB(info)
	s.mongoDB.Store(&is)
	return is, nil
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
