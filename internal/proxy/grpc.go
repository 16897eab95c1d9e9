package proxy

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/pierhead/pierhead/internal/message"
)

// asksGRPC reports whether the client speaks gRPC, which looks for a status of its own
// kind.
func (t *trip) asksGRPC() bool {
	v := t.x.In.Header.GetKnown(message.ContentType)
	return t.x.In.Version == message.HTTP2 && strings.HasPrefix(v, "application/grpc") &&
		(len(v) == len("application/grpc") || strings.IndexByte("+; ", v[len("application/grpc")]) >= 0)
}

// sayGRPC makes an answer of ours one that a gRPC client reads: 200, and what is wrong
// in grpc-status. Log and metrics keep the HTTP status.
func (t *trip) sayGRPC() {
	resp := &t.resp
	status := resp.Status
	resp.Status, resp.Length = 200, message.Unknown
	resp.Header.SetKnown(message.ContentType, "application/grpc")
	resp.Header.Set("grpc-status", strconv.Itoa(grpcStatus(status)))
	resp.Header.Set("grpc-message", "the proxy answers "+strconv.Itoa(status)+" "+http.StatusText(status))
}

// grpcStatus is the code that gRPC gives an HTTP status ("HTTP to gRPC Status Code
// Mapping"); of the others, 504 says that the time is over and 413 that a limit is.
func grpcStatus(status int) int {
	switch status {
	case 400:
		return 13 // INTERNAL
	case 401:
		return 16 // UNAUTHENTICATED
	case 403:
		return 7 // PERMISSION_DENIED
	case 404:
		return 12 // UNIMPLEMENTED
	case 413:
		return 8 // RESOURCE_EXHAUSTED
	case 429, 502, 503:
		return 14 // UNAVAILABLE
	case 504:
		return 4 // DEADLINE_EXCEEDED
	}
	return 2 // UNKNOWN
}
