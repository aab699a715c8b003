// Package e2e holds the tests of the whole path: the built programs beside a
// NATS server and a document database in processes of their own, loaded, killed
// and started again, and then checked: whatever was answered 200 is audited
// once, and every state is the one that the audit trail says.
package e2e
