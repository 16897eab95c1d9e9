package exchange

// Reply is an answer of our own. A step returns one to end the request half; the
// response steps still see it. Replies made when a table is compiled are shared by
// all requests and never changed; what differs by request goes into Fields made
// with Exchange.Text.
type Reply struct {
	Status int
	Fields []ReplyField
	Body   []byte // nil: nginx's error page for the status
	Type   string // content type of Body
	Err    Kind   // OK unless the reply stands for a failure
}

// ReplyField is one field of a Reply.
type ReplyField struct{ Name, Value string }

// Answer returns the exchange's own Reply, emptied: for answers that differ by
// request. There is one; it is valid until the exchange ends.
func (x *Exchange) Answer(status int) *Reply {
	x.own = Reply{Status: status, Fields: x.own.Fields[:0]}
	return &x.own
}

// Add appends a field to a Reply made by Answer.
func (r *Reply) Add(name, value string) *Reply {
	r.Fields = append(r.Fields, ReplyField{Name: name, Value: value})
	return r
}
