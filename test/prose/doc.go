// Package prose checks what people read: that comments, pages and messages are
// in plain English, and that what the pages link to or name exists.
//
// It is for tests only.
package prose
