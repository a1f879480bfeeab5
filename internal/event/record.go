package event

// Record is one record of a log as a reader returns it.
type Record struct {
	Index   uint64
	CRC     uint32 // of the record's frame
	Segment string // path of the file
	Offset  int64  // of the record in it
	Size    int64  // bytes in the file
	// Event is valid until the reader's next call where it is a *Tick; its
	// Series and Context stay valid. A kind that this version does not know is
	// an *Unknown.
	Event Event
}
