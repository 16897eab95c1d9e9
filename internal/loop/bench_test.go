package loop

import (
	"testing"
	"time"
	"unsafe"
)

func sizeOf[T any]() uintptr {
	var t T
	return unsafe.Sizeof(t)
}

// benchOn runs f in a coroutine of one loop of each engine.
func benchOn(b *testing.B, f func(b *testing.B, l *Loop)) {
	for _, kind := range []Kind{Loops, Goroutines} {
		b.Run(string(kind), func(b *testing.B) {
			e, err := New(kind, 1)
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			l := e.Loops()[0]
			b.ReportAllocs()
			on(l, func() { f(b, l) })
		})
	}
}

// One coroutine from the free list that ends at once.
func BenchmarkGo(b *testing.B) {
	benchOn(b, func(b *testing.B, l *Loop) {
		for b.Loop() {
			l.Go(func(any) {}, nil)
		}
	})
}

// A coroutine that is woken and parks again.
func BenchmarkResumeAndYield(b *testing.B) {
	benchOn(b, func(b *testing.B, l *Loop) {
		var other *Task
		me := l.Task()
		l.Go(func(any) {
			for other = l.Task(); l.Park() == nil; me.Wake() {
			}
		}, nil)
		for b.Loop() {
			other.Wake()
			l.Park()
		}
	})
}

func BenchmarkAwait(b *testing.B) {
	benchOn(b, func(b *testing.B, l *Loop) {
		for b.Loop() {
			l.Await(func() {})
		}
	})
}

// A round trip of 100 bytes between two connections of one loop.
func BenchmarkEcho(b *testing.B) {
	benchOn(b, func(b *testing.B, l *Loop) {
		ln, err := l.Engine().Listen(local, echo)
		if err != nil {
			b.Fatal(err)
		}
		c, err := l.Dial(ln.Addr(), time.Second)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		buf := make([]byte, 200)
		for b.Loop() {
			c.Write(buf[:100])
			for n := 0; n < 100; {
				k, err := c.Read(buf)
				if err != nil {
					b.Fatal(err)
				}
				n += k
			}
		}
	})
}
