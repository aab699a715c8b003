package normalize

// CannotRedact reports whether a key must not be redacted, because without its
// value an event cannot be recognized, admitted or assigned to a subscription.
func CannotRedact(key string) bool {
	switch key {
	case "account", "api_version", "client_reference_id", "context", "created", "customer", "data", "id", "items", "livemode",
		"object", "previous_attributes", "related_object", "status", "subscription", "type", "user_id":
		return true
	}
	return false
}
