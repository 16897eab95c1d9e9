package http2

// Fault is why a request is answered without reaching the Handler. It is an error:
// errors.Is finds ErrHeadTooLarge or ErrInvalid in it. What breaks HTTP/2 itself is
// no Fault: the stream or the connection is reset.
type Fault uint8

// The faults.
const (
	NoFault Fault = iota
	HeadTooLarge
	FieldTooLong
	PathTooLong
	NoHost
	BadHost
	BadPath
	BadScheme
	BadMethod
	MethodConnect
	MethodTrace
	TooEarly // HTTP/3 only: a request in early data that may change something (RFC 8470)
	numFaults
)

var faults = [numFaults]struct {
	status int
	text   string
}{
	NoFault:       {200, "no fault"},
	HeadTooLarge:  {400, "head is too large"},
	FieldTooLong:  {400, "field is too long"},
	PathTooLong:   {414, ":path is too long"},
	NoHost:        {400, "request has neither :authority nor Host"},
	BadHost:       {400, "host is not valid"},
	BadPath:       {400, ":path is not valid"},
	BadScheme:     {400, ":scheme is neither http nor https"},
	BadMethod:     {400, ":method is not of the letters A to Z, \"_\" and \"-\""},
	MethodConnect: {405, "CONNECT is not served"},
	MethodTrace:   {405, "TRACE is not served"},
	TooEarly:      {425, "request came in early data and may change something"},
}

// Status returns the status that answers a request with the fault.
func (f Fault) Status() int { return faults[f].status }

// String returns the fault in words.
func (f Fault) String() string { return faults[f].text }

// Error returns the fault in words.
func (f Fault) Error() string { return "http2: " + faults[f].text }

// Is tells errors.Is which of the package's errors the fault is.
func (f Fault) Is(target error) bool {
	switch f {
	case HeadTooLarge, FieldTooLong, PathTooLong:
		return target == ErrHeadTooLarge
	}
	return target == ErrInvalid
}
