package translate

// journal is what changed in a collection of objects, for whoever has seen it before: so
// nobody goes through all of them to find the one that changed.
type journal struct {
	first uint64 // number of the oldest change that is known
	list  []change
}

// change says that something else may stand under a name. The zero id is any name.
type change struct {
	kind kind
	id   id
}

// remembered is how many changes are known at least.
const remembered = 1024

// note notes a change.
func (j *journal) note(c change) {
	if len(j.list) == 2*remembered {
		j.first += remembered
		j.list = append(j.list[:0], j.list[remembered:]...)
	}
	j.list = append(j.list, c)
}

// next is the number that the next change will have.
func (j *journal) next() uint64 { return j.first + uint64(len(j.list)) }

// view is the objects as they were at the last look, against which results are held.
type view struct {
	objects *Objects
	seen    uint64      // the first change that came after it
	anew    bool        // anything may be another than at the look before
	changed [kinds][]id // what may be, unless anew
}

// look looks at the objects as they are now.
func (v *view) look(o *Objects) {
	v.anew = v.objects != o || v.seen < o.journal.first
	for k := range v.changed {
		v.changed[k] = v.changed[k][:0]
	}
	if !v.anew {
		for _, c := range o.journal.list[v.seen-o.journal.first:] {
			v.changed[c.kind] = append(v.changed[c.kind], c.id)
		}
	}
	v.objects, v.seen = o, o.journal.next()
}

// same tells whether no object of these kinds has changed since the look before.
func (v *view) same(of ...kind) bool {
	for _, k := range of {
		if v.anew || len(v.changed[k]) > 0 {
			return false
		}
	}
	return true
}

// few is how many changes are looked through one by one.
const few = 16

// touched tells whether something else may stand under a name than at the look before.
func (v *view) touched(k kind, i id) bool {
	if v.anew || len(v.changed[k]) > few {
		return true
	}
	for _, c := range v.changed[k] {
		if c == i || c == (id{}) {
			return true
		}
	}
	return false
}

// hold tells whether all that was read is still there.
func (v *view) hold(reads []read) bool {
	for i := range reads {
		was := &reads[i]
		if v.touched(was.kind, was.id) && !v.objects.look(was.kind, was.id).is(was) {
			return false
		}
	}
	return true
}
