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
