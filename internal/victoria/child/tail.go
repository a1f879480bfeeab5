package child

import "sync"

// tailSize is how much of a program's output is kept, in bytes.
const tailSize = 64 << 10

// tail is a writer that remembers the last tailSize bytes.
type tail struct {
	mu   sync.Mutex // guards kept
	kept []byte     // at most twice tailSize
}

// Write keeps b and lets go of what is too old. It never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(b)
	if n > tailSize {
		b = b[n-tailSize:]
	}
	if len(t.kept)+len(b) > 2*tailSize {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-tailSize:]...)
	}
	t.kept = append(t.kept, b...)
	return n, nil
}

// String returns the last tailSize bytes that were written.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept[max(0, len(t.kept)-tailSize):])
}
