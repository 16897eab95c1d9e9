package http1

// Fault is what is wrong with a message that came from outside. It is an error:
// errors.Is finds ErrHeadTooLarge or ErrInvalid in it.
type Fault uint8

// The faults.
const (
	NoFault Fault = iota
	BadMethod
	BadTarget
	BadVersion
	UnsupportedVersion
	BadStatusLine
	LineTooLong
	FieldTooLong
	HeadTooLarge
	TooManyFields
	BadLineEnd
	Folded
	EmptyName
	BadName
	BadValue
	NoHost
	ManyHosts
	BadHost
	BadLength
	ManyLengths
	LengthAndCoding
	CodingInHTTP10
	BadCoding
	MethodConnect
	MethodTrace
	HeadTimeout
	BadChunkSize
	BadChunkEnd
	ChunkExtensions
	TrailerTooLarge
	UnexpectedUpgrade
	ManyInterim
	ManyOptions
	numFaults
)

var faults = [numFaults]struct {
	status int
	text   string
}{
	NoFault:            {200, "no fault"},
	BadMethod:          {400, "method is not of the letters A to Z, \"_\" and \"-\""},
	BadTarget:          {400, "request target is not valid"},
	BadVersion:         {400, "request line does not end with a version"},
	UnsupportedVersion: {505, "version is neither HTTP/1.0 nor HTTP/1.1"},
	BadStatusLine:      {502, "status line is not valid"},
	LineTooLong:        {414, "request line is too long"},
	FieldTooLong:       {400, "field is too long"},
	HeadTooLarge:       {400, "head is too large"},
	TooManyFields:      {400, "head has too many fields"},
	BadLineEnd:         {400, "line does not end with CR LF"},
	Folded:             {400, "field is folded over lines"},
	EmptyName:          {400, "field has no name"},
	BadName:            {400, "field name is not a token followed by a colon"},
	BadValue:           {400, "field value holds a control character"},
	NoHost:             {400, "request has no Host field"},
	ManyHosts:          {400, "request has several Host fields"},
	BadHost:            {400, "host is not valid"},
	BadLength:          {400, "Content-Length is not a number"},
	ManyLengths:        {400, "message has several Content-Length fields"},
	LengthAndCoding:    {400, "message has both Content-Length and Transfer-Encoding"},
	CodingInHTTP10:     {400, "HTTP/1.0 message has Transfer-Encoding"},
	BadCoding:          {400, "Transfer-Encoding is not exactly \"chunked\""},
	MethodConnect:      {405, "CONNECT is not served"},
	MethodTrace:        {405, "TRACE is not served"},
	HeadTimeout:        {408, "head did not arrive in time"},
	BadChunkSize:       {400, "chunk size is not valid"},
	BadChunkEnd:        {400, "chunk does not end with CR LF"},
	ChunkExtensions:    {400, "chunk extensions are too long"},
	TrailerTooLarge:    {400, "trailer section is too large"},
	UnexpectedUpgrade:  {502, "server switched protocols unasked"},
	ManyInterim:        {502, "server sent too many interim responses"},
	ManyOptions:        {400, "Connection names too many fields"},
}

// Status returns the status that answers a request with the fault.
func (f Fault) Status() int { return faults[f].status }

// String returns the fault in words.
func (f Fault) String() string { return faults[f].text }

// Error returns the fault in words.
func (f Fault) Error() string { return "http1: " + faults[f].text }

// Is tells errors.Is which of the package's errors the fault is.
func (f Fault) Is(target error) bool {
	switch f {
	case LineTooLong, FieldTooLong, HeadTooLarge, TooManyFields:
		return target == ErrHeadTooLarge
	}
	return target == ErrInvalid
}
