package l4

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// udpSession is what one client of a UDP port sends and gets.
type udpSession struct {
	port       *udpPort
	d          *DesiredUDP
	client     netip.AddrPort
	endpoint   netip.AddrPort
	socket     *net.UDPConn // to the endpoint
	answerFrom []byte       // control message that makes answers come from where the client sent to; nil: none
	begin      time.Time

	newer, older *udpSession // by the client's last datagram; the port's mutex is held

	heard   atomic.Int64 // when a datagram last came, in Unix nanoseconds
	in, out atomic.Int64 // bytes

	mu             sync.Mutex
	asked, replied int64 // datagrams
	over           bool
	why            Reason
}

// reach connects to the endpoint that is next in turn. It returns why that cannot be.
func (s *udpSession) reach() Reason {
	p := s.port
	all := s.d.Find()
	if len(all) == 0 {
		return NoTarget
	}
	p.turn++
	s.endpoint = all[p.turn%len(all)]
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.endpoint))
	if err != nil {
		return Connect
	}
	s.socket = c
	s.heard.Store(time.Now().UnixNano())
	return Done
}

// forward sends one datagram of the client on; false: the session is over.
func (s *udpSession) forward(b []byte) bool {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	s.asked++ // before it is sent: an answer finds it counted
	s.mu.Unlock()
	s.heard.Store(time.Now().UnixNano())
	s.in.Add(int64(len(b)))
	if _, err := s.socket.Write(b); err != nil {
		s.stop(Server)
	} else if s.d.Responses == 0 {
		s.stop(Done)
	}
	return true
}

// run brings the answers back until the session is over.
func (s *udpSession) run() {
	p := s.port
	defer func() {
		p.leave(s)
		p.open.Add(-1)
		p.endings[s.why].Add(1)
		s.tell(s.why)
	}()
	r := newReceiver(s.socket)
	for !s.isOver() {
		if s.d.Idle > 0 {
			// Where this fails Receive fails too.
			_ = s.socket.SetReadDeadline(time.Unix(0, s.heard.Load()).Add(s.d.Idle))
		}
		err := r.receive(s.answer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if time.Since(time.Unix(0, s.heard.Load())) >= s.d.Idle {
				s.stop(Idle)
			}
		case err != nil:
			s.stop(Server)
		default:
			s.heard.Store(time.Now().UnixNano())
			s.reply()
		}
	}
}

// reply counts an answer. The last one that is expected ends the session.
func (s *udpSession) reply() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replied++; s.replied >= s.asked*int64(s.d.Responses) {
		s.end(Done)
	}
}

// answer sends one datagram to the client.
func (s *udpSession) answer(b []byte) {
	if _, _, err := s.port.socket.WriteMsgUDPAddrPort(b, s.answerFrom, s.client); err == nil {
		s.out.Add(int64(len(b)))
		s.port.out.Add(uint64(len(b)))
	}
}

func (s *udpSession) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// stop ends the session; the first reason counts.
func (s *udpSession) stop(why Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(why)
}

// end is stop with s.mu held.
func (s *udpSession) end(why Reason) {
	if !s.over {
		s.over, s.why = true, why
		_ = s.socket.Close() // run finds it closed
	}
}

// tell tells whoever wants to know that the session has ended.
func (s *udpSession) tell(why Reason) {
	if s.d.Ended == nil {
		return
	}
	s.d.Ended(&Session{
		Client: s.client, Local: s.port.local, Endpoint: s.endpoint, Reason: why,
		Begin: s.begin, End: time.Now(), In: s.in.Load(), Out: s.out.Load(),
	})
}
