package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
)

// pair is a connection of the daemon, together with the one to the receiver over
// which its requests go on. The daemon draws conclusions from how long a
// connection lasts, so that none may outlive the other: a receiver that was
// killed is seen as if nothing stood in between.
type pair struct {
	net.Conn // the daemon's
	up       *http.Transport

	mu     sync.Mutex // guards what follows
	dialed bool
	ended  bool // the receiver's connection
	active bool // a request is under way
}

// pairs accepts connections as pairs.
type pairs struct{ net.Listener }

// Accept implements net.Listener.
func (l pairs) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	p := &pair{Conn: conn}
	// It knows of no proxy in the environment.
	p.up = &http.Transport{DialContext: p.dial, MaxConnsPerHost: 1, DisableCompression: true}
	return p, nil
}

type pairKey struct{}

// inContext lets the requests of a connection know their pair.
func inContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, pairKey{}, conn)
}

// RoundTrip implements http.RoundTripper: it sends a request over the pair that it
// came by.
func (pairs) RoundTrip(req *http.Request) (*http.Response, error) {
	return req.Context().Value(pairKey{}).(*pair).up.RoundTrip(req)
}

var errSecond = errors.New("the receiver has closed the connection")

func (p *pair) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.mu.Lock()
	second := p.dialed
	p.dialed = true
	p.mu.Unlock()
	if second {
		return nil, errSecond
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &upward{conn, p}, nil
}

// upward is the receiver's connection of a pair.
type upward struct {
	net.Conn
	pair *pair
}

// Close is called by the transport, also when it sees the end of an idle
// connection.
func (u *upward) Close() error {
	err := u.Conn.Close()
	p := u.pair
	p.mu.Lock()
	p.ended = true
	idle := !p.active
	p.mu.Unlock()
	if idle {
		_ = p.Conn.Close()
	}
	return err
}

// follow is told of the states of the daemon's connections. An answer that is on
// its way is not cut off when the receiver closes the connection behind it.
func follow(conn net.Conn, state http.ConnState) {
	p := conn.(*pair)
	switch state {
	case http.StateActive, http.StateIdle:
		p.mu.Lock()
		p.active = state == http.StateActive
		over := !p.active && p.ended
		p.mu.Unlock()
		if over {
			_ = p.Conn.Close()
		}
	case http.StateClosed:
		p.up.CloseIdleConnections()
	}
}
