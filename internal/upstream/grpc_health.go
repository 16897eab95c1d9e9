package upstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/model"
)

// The health checking protocol of gRPC: a call of one message each way. The request is
// the name of a service, "" for the server as a whole; the answer is one number.
const healthCheckPath = "/grpc.health.v1.Health/Check"

// What the number of the answer means.
var servingStatus = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

const serving = 1

// Of gRPC's own codes: the call has succeeded, and the server has no such service.
const (
	grpcOK            = 0
	grpcUnimplemented = 12
)

// askGRPC calls it. A server that does not have it is well, since it answers: gRPC's own
// clients take it so.
func (e *Endpoint) askGRPC(w Wire, check *model.Check) error {
	req := e.question(check, "POST", healthCheckPath)
	req.Version = message.HTTP2
	req.Header.AddKnown(message.ContentType, "application/grpc")
	req.Header.Add("te", "trailers")
	body := healthRequest(check.Service)
	req.Length = int64(len(body))
	var resp message.Response
	if err := exchangeHeads(w, &req, body, &resp); err != nil {
		return err
	}
	if resp.Status != 200 {
		return fmt.Errorf("status %d", resp.Status)
	}
	answer, err := readAnswer(resp.Body)
	if err != nil {
		return err
	}
	code, err := grpcCode(&resp)
	switch {
	case err != nil:
		return err
	case code == grpcUnimplemented:
		return nil
	case code != grpcOK:
		return fmt.Errorf("gRPC status %d", code)
	}
	status, err := healthStatus(answer)
	if err == nil && status != serving {
		err = errors.New(statusName(status))
	}
	return err
}

func statusName(status uint64) string {
	if status < uint64(len(servingStatus)) {
		return servingStatus[status]
	}
	return fmt.Sprintf("serving status %d", status)
}

// grpcCode returns the status of a call, which stands in the trailers, or in the head of
// an answer without a body.
func grpcCode(resp *message.Response) (uint64, error) {
	v := resp.Trailer.Get("grpc-status")
	if v == "" {
		v = resp.Header.Get("grpc-status")
	}
	code, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		return 0, errors.New("no gRPC status")
	}
	return code, nil
}

// maxAnswer bounds an answer, which has 7 bytes.
const maxAnswer = 1 << 10

var errAnswer = errors.New("not an answer to a health check of gRPC")

func readAnswer(body message.Body) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	var b [maxAnswer]byte
	for n := 0; n < len(b); {
		k, err := body.Read(b[n:])
		n += k
		switch err {
		case nil:
		case io.EOF:
			return b[:n], nil
		default:
			return nil, err
		}
	}
	return nil, errAnswer
}

// framePrefix is what stands before a message: whether it is compressed, and its length.
const framePrefix = 5

// healthRequest is a message whose field 1 is a text.
func healthRequest(service string) []byte {
	b := make([]byte, framePrefix, framePrefix+len(service)+8)
	if service != "" {
		b = binary.AppendUvarint(append(b, 1<<3|2), uint64(len(service)))
		b = append(b, service...)
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-framePrefix))
	return b
}

// healthStatus reads field 1 of a message, a number; without it that is 0. Other fields
// are those of versions to come.
func healthStatus(b []byte) (status uint64, err error) {
	if len(b) < framePrefix || b[0] != 0 || uint64(binary.BigEndian.Uint32(b[1:])) != uint64(len(b)-framePrefix) {
		return 0, errAnswer
	}
	for b = b[framePrefix:]; len(b) > 0; {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 {
			return 0, errAnswer
		}
		value, size := fieldValue(b[n:], tag&7)
		if size < 0 {
			return 0, errAnswer
		}
		if tag == 1<<3|0 {
			status = value
		}
		b = b[n+size:]
	}
	return status, nil
}

// fieldValue returns a number, and how many bytes a field of any kind has; -1 is none.
func fieldValue(b []byte, kind uint64) (value uint64, size int) {
	switch kind {
	case 0:
		if value, size = binary.Uvarint(b); size > 0 {
			return value, size
		}
	case 1, 5:
		if size = 8; kind == 5 {
			size = 4
		}
		if len(b) >= size {
			return 0, size
		}
	case 2:
		if n, k := binary.Uvarint(b); k > 0 && n <= uint64(len(b)-k) {
			return 0, k + int(n)
		}
	}
	return 0, -1
}
