// The health check of MongoDB. It creates a replica set of this one node if there is none yet, and fails
// until the node is primary. Running it again changes nothing.
try {
  rs.status();
} catch (error) {
  if (error.codeName !== 'NotYetInitialized') throw error;
  rs.initiate({ _id: 'rs0', members: [{ _id: 0, host: 'mongodb:27017' }] });
}
if (!db.hello().isWritablePrimary) quit(1);
