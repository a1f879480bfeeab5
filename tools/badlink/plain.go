package badlink

import (
	"io"
	"net"
)

// carryAll carries the bytes of connections until the link is closed.
func (l *Link) carryAll() {
	for {
		c, err := l.wire.Accept()
		if err != nil {
			return
		}
		if !l.begin() {
			_ = c.Close()
			return
		}
		go func() {
			defer l.work.Done()
			l.carry(c.(*conn))
		}()
	}
}

// carry carries bytes both ways. Each side's end is told to the other; where one
// breaks, both do.
func (l *Link) carry(client *conn) {
	defer client.Close()
	var dialer net.Dialer
	c, err := dialer.DialContext(l.ctx, "tcp", l.target.Host)
	if err != nil {
		client.breakOff()
		return
	}
	receiver := c.(*net.TCPConn)
	defer receiver.Close()
	breakBoth := func() {
		client.breakOff()
		_ = receiver.SetLinger(0) // closing follows
		_ = receiver.Close()
	}
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		if _, err := io.Copy(client, receiver); err != nil || client.tcp.CloseWrite() != nil {
			breakBoth()
		}
	}()
	if _, err := io.Copy(receiver, client); err != nil || receiver.CloseWrite() != nil {
		breakBoth()
	}
	<-answers
}
