package badlink

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// receiveBuffer of a connection, in the system. What a client has written and
	// a slow line has not taken yet lies there, so it is small; with less than
	// the largest packet of the loopback, 64 KiB, TCP stalls.
	receiveBuffer = 128 << 10
	// pieceSize is how many bytes are paced at once.
	pieceSize = 2 << 10
)

// wire is a listener whose connections share one bad line.
type wire struct {
	addr     net.Addr
	up, down bucket
	latency  atomic.Int64 // time.Duration
	carried  [2]atomic.Int64
	accepted atomic.Int64
	done     chan struct{}

	mu        sync.Mutex // guards what follows
	state     State
	listener  net.Listener  // nil while refusing
	listening chan struct{} // closed while there is a listener
	open      chan struct{} // closed while bytes may pass
	conns     map[*conn]bool
	rand      *rand.Rand // decides where connections are cut
	cuts      int        // 0: nowhere
	contact   time.Time  // of the first byte since the link came up
	last      time.Time  // of the last one, either way
	ended     bool
}

func newWire(l net.Listener, seed uint64) *wire {
	w := &wire{
		addr:      l.Addr(),
		listener:  l,
		done:      make(chan struct{}),
		listening: make(chan struct{}),
		open:      make(chan struct{}),
		conns:     make(map[*conn]bool),
		rand:      rand.New(rand.NewPCG(seed, 2)),
	}
	close(w.listening)
	close(w.open)
	return w
}

// Addr implements net.Listener. The address stays the same.
func (w *wire) Addr() net.Addr { return w.addr }

// Close implements net.Listener.
func (w *wire) Close() error {
	w.end()
	return nil
}

// Accept implements net.Listener. It waits while the line refuses.
func (w *wire) Accept() (net.Conn, error) {
	for {
		w.mu.Lock()
		listener, listening := w.listener, w.listening
		w.mu.Unlock()
		if listener == nil {
			select {
			case <-w.done:
				return nil, net.ErrClosed
			case <-listening:
			}
			continue
		}
		c, err := listener.Accept()
		if err != nil && w.listensOn(listener) {
			return nil, err
		}
		if err != nil {
			continue
		}
		tcp := c.(*net.TCPConn)
		_ = tcp.SetReadBuffer(receiveBuffer) // a larger one is only less like a link
		if conn := w.add(tcp); conn != nil {
			return conn, nil
		}
	}
}

// listensOn reports whether a listener is still in use.
func (w *wire) listensOn(l net.Listener) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.listener == l
}

// add returns a connection on the line, or nil where it was broken off at once.
func (w *wire) add(tcp *net.TCPConn) *conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &conn{Conn: tcp, tcp: tcp, wire: w, fresh: true}
	if w.state == Refusing || w.state == Breaking || w.ended {
		c.breakOff()
		return nil
	}
	w.drawCutLocked(c)
	w.conns[c] = true
	w.accepted.Add(1)
	return c
}

func (w *wire) drawCutLocked(c *conn) {
	c.left.Store(-1)
	if w.cuts > 0 {
		c.left.Store(1 + w.rand.Int64N(int64(w.cuts)))
	}
}

func (w *wire) remove(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

func (w *wire) setCuts(limit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cuts = limit
	for c := range w.conns {
		w.drawCutLocked(c)
	}
}

func (w *wire) setState(s State) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s == w.state || w.ended {
		return nil
	}
	if w.state == Refusing {
		l, err := net.Listen("tcp", w.addr.String())
		if err != nil {
			return fmt.Errorf("bring link up: %w", err)
		}
		w.listener = l
		close(w.listening)
	}
	if w.state == Dark {
		close(w.open)
	}
	w.state = s
	switch s {
	case Up:
		w.contact = time.Time{}
	case Refusing:
		_ = w.listener.Close() // nobody waits for more of it
		w.listener, w.listening = nil, make(chan struct{})
		w.cutAllLocked()
	case Breaking:
		w.cutAllLocked()
	case Dark:
		w.open = make(chan struct{})
	}
	return nil
}

func (w *wire) cutAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cutAllLocked()
}

func (w *wire) cutAllLocked() {
	for c := range w.conns {
		c.breakOff()
	}
	clear(w.conns)
}

// end breaks off all connections and lets everybody go who waits.
func (w *wire) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.ended = true
	if w.listener != nil {
		_ = w.listener.Close() // ends Accept
	}
	w.listener = nil
	close(w.done)
	w.cutAllLocked()
}

// touch notes that a byte came in from a client, or went to one.
func (w *wire) touch(in bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = time.Now()
	if in && w.contact.IsZero() {
		w.contact = w.last
	}
}

// pass waits until the line lets bytes through that take d. It reports false at
// the link's end.
func (w *wire) pass(d time.Duration) bool {
	for {
		w.mu.Lock()
		open := w.open
		w.mu.Unlock()
		select {
		case <-w.done:
			return false
		case <-open:
		}
		if d <= 0 {
			return true
		}
		timer := time.NewTimer(d)
		select {
		case <-w.done:
			timer.Stop()
			return false
		case <-timer.C:
			d = 0 // it may have gone dark meanwhile
		}
	}
}

// conn is a client's connection. It has no more methods than a net.Conn, so that
// nothing goes past Read and Write.
type conn struct {
	net.Conn
	tcp   *net.TCPConn // the same
	wire  *wire
	left  atomic.Int64 // bytes to its cut; negative: none
	fresh bool         // nothing was read yet; for Read only
	// The line's latency is waited for whenever the direction changes.
	readLast, wroteLast atomic.Bool
	removed             sync.Once
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	// What has come in is held back after it was read: a read that nothing comes
	// in for can be ended by its deadline.
	n, err := c.Conn.Read(p[:min(len(p), pieceSize)])
	if n == 0 {
		return n, err
	}
	d := c.wire.up.take(n, time.Now())
	if latency := time.Duration(c.wire.latency.Load()); c.fresh {
		d += 3 * latency // connecting is a round trip
	} else if c.wroteLast.Swap(false) {
		d += latency
	}
	c.fresh = false
	if !c.wire.pass(d) {
		return 0, net.ErrClosed
	}
	c.readLast.Store(true)
	c.wire.touch(true)
	n, cut := c.spend(n)
	c.wire.carried[0].Add(int64(n))
	if cut {
		err = net.ErrClosed
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		piece := p[:min(len(p), pieceSize)]
		d := c.wire.down.take(len(piece), time.Now())
		if c.readLast.Swap(false) {
			d += time.Duration(c.wire.latency.Load())
		}
		if !c.wire.pass(d) {
			return written, net.ErrClosed
		}
		allowed, cut := c.spend(len(piece))
		if cut {
			return written, net.ErrClosed
		}
		n, err := c.Conn.Write(piece[:allowed])
		written += n
		c.wroteLast.Store(true)
		c.wire.touch(false)
		c.wire.carried[1].Add(int64(n))
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

// spend takes n bytes from what the connection may carry and returns how many of
// them it still carries. It reports true, and breaks the connection off, where
// its cut is reached.
func (c *conn) spend(n int) (carried int, cut bool) {
	left := c.left.Load()
	if left < 0 || left > int64(n) {
		if left > 0 {
			c.left.CompareAndSwap(left, left-int64(n)) // else there is a new cut
		}
		return n, false
	}
	c.breakOff()
	c.removed.Do(func() { c.wire.remove(c) })
	return int(left), true
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.removed.Do(func() { c.wire.remove(c) })
	return c.Conn.Close()
}

// breakOff resets the connection: what is under way is lost.
func (c *conn) breakOff() {
	// Neither can fail in a way that leaves the connection open.
	_ = c.tcp.SetLinger(0)
	_ = c.tcp.Close()
}

type connKey struct{}

// withConn keeps the connection for those that serve a request of it.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connOf returns the connection of a request.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}
