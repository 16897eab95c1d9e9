package http2

import "slices"

// table holds the open streams in the order of their IDs, which is the order in
// which they were opened.
type table []entry

type entry struct {
	id uint32
	s  *flow
}

func (t table) index(id uint32) (int, bool) {
	if n := len(t); n > 0 && t[n-1].id == id { // the newest is the most likely
		return n - 1, true
	}
	return slices.BinarySearchFunc(t, id, func(e entry, id uint32) int { return int(e.id) - int(id) })
}

// find returns the stream, or nil.
func (t table) find(id uint32) *flow {
	if i, ok := t.index(id); ok {
		return t[i].s
	}
	return nil
}

// add appends a stream, whose ID is higher than all others.
func (t *table) add(s *flow) { *t = append(*t, entry{s.id, s}) }

// keepStreams is for how many streams the memory is kept when there are none.
const keepStreams = 16

// remove takes a stream out. Much memory goes with the last one.
func (t *table) remove(id uint32) {
	i, ok := t.index(id)
	if !ok {
		return
	}
	if *t = slices.Delete(*t, i, i+1); len(*t) == 0 && cap(*t) > keepStreams {
		*t = nil
	}
}

// resetMemory is how many streams we remember to have reset, so that frames that
// were on their way are not taken for errors.
const resetMemory = 128

// noteReset remembers that we reset a stream that the client had not ended.
func (c *conn) noteReset(id uint32) {
	if len(c.resets) < resetMemory {
		c.resets = append(c.resets, id)
		return
	}
	c.resets[c.oldest] = id
	c.oldest = (c.oldest + 1) % resetMemory
}

func (c *conn) wasReset(id uint32) bool { return slices.Contains(c.resets, id) }
