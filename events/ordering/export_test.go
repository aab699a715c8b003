package ordering

// Since is the table of fields by API version.
var Since = since

// Member is member.
var Member = member
