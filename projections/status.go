package projections

import "time"

// Status is how the index is doing.
type Status struct {
	Ready    bool // a database is open
	CaughtUp bool // and everything that the log held was read
	Verified bool // and the whole of it was found intact since it was opened

	Position Position // of the database
	Head     Position // up to where queries see
	Waiting  int      // records and samples that are not in the database yet

	LastCommit     time.Time
	LastCheckpoint Checkpoint

	// LastError is what went wrong last; nil since the index caught up again.
	LastError   error
	LastErrorAt time.Time

	// Rebuilds counts the databases that were set aside; LastReason and
	// LastAside say why the last was and what it is called now.
	Rebuilds   int
	LastReason string
	LastAside  string
}

// Status returns how the index is doing.
func (e *Engine) Status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status
}

// note changes the status.
func (e *Engine) note(change func(s *Status)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.status)
}
