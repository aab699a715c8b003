package mongostore

import (
	"context"
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
// time. On FerretDB 1, the embedded database, records were found to lack confirmed
// writes after that. FerretDB 2 hands each command to a transaction of PostgreSQL, and counts
// as MongoDB. If the server does not answer, this is false, and it is asked again next time.
// What would be wrong on MongoDB needs ask.
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
	is := !saysFerretDB1(info)
	s.mongoDB.Store(&is)
	return is, nil
}

// saysFerretDB1 reports whether buildInfo has a field that FerretDB 1 adds, and FerretDB 2 does not.
func saysFerretDB1(info bson.Raw) bool {
	_, err := info.LookupErr("ferretdbVersion")
	return err == nil || info.Validate() != nil
}
