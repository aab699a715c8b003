package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// apiError is an error in Stripe's form.
type apiError struct {
	Status  int    `json:"-"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message"`
	Param   string `json:"param,omitempty"`
	Type    string `json:"type"`
}

func (e *apiError) Error() string { return e.Message }

// MarshalJSON wraps the error as Stripe does.
func (e *apiError) MarshalJSON() ([]byte, error) {
	type plain apiError
	inner := plain(*e)
	inner.Type = cmp.Or(inner.Type, "invalid_request_error")
	return json.Marshal(map[string]any{"error": inner})
}

func asError(err error) *apiError {
	var e *apiError
	if errors.As(err, &e) {
		return e
	}
	return &apiError{Status: http.StatusInternalServerError, Type: "api_error", Message: err.Error()}
}

func invalid(param, format string, args ...any) *apiError {
	return &apiError{Status: http.StatusBadRequest, Param: param, Message: fmt.Sprintf(format, args...)}
}

func (e *apiError) coded(code string) *apiError {
	e.Code = code
	return e
}

// missing is the error about an object that does not exist: 404 for one in the path, 400
// for one in a parameter.
func missing(status int, param, kind, id string) *apiError {
	return &apiError{
		Status: status, Code: "resource_missing", Param: param, Message: fmt.Sprintf("No such %s: '%s'", kind, id),
	}
}
