//go:build linux

package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// settle is how long a change waits for those that come with it: an address and
// its route follow a link within milliseconds where they are configured, and
// after a second or more where DHCP or duplicate address detection has to come
// first. Those are then calls of their own.
const settle = 500 * time.Millisecond

func watch(ctx context.Context, up func()) error {
	s, err := openSocket()
	if err != nil {
		return fmt.Errorf("watch links: %w", err)
	}
	defer s.close()
	seen := newMemory()
	s.present(seen)
	stop := context.AfterFunc(ctx, s.interrupt)
	defer stop()
	if err := relay(ctx, s.receive, seen, up); err != nil {
		return fmt.Errorf("watch links: %w", err)
	}
	return nil
}

// relay calls up for what receive brings until ctx is done, and returns nil
// then, or until receive fails. receive must fail once ctx is done.
func relay(ctx context.Context, receive func() ([]byte, error), seen *memory, up func()) error {
	news := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() { ended <- listen(receive, seen, news) }()
	var settled <-chan time.Time // nil while there is nothing to tell
	for {
		select {
		case <-ctx.Done():
			<-ended
			return nil
		case err := <-ended:
			if ctx.Err() != nil {
				return nil
			}
			return err
		case <-news:
			if settled == nil {
				settled = time.After(settle)
			}
		case <-settled:
			settled = nil
			if ctx.Err() == nil {
				up()
			}
		}
	}
}

// listen leaves a token in news for everything that is new in what it receives,
// until receive fails. Nothing that it does waits for the one who takes them.
func listen(receive func() ([]byte, error), seen *memory, news chan<- struct{}) error {
	for {
		datagram, err := receive()
		isNew := false
		switch {
		case errors.Is(err, unix.ENOBUFS):
			// Any of what is remembered may have changed since.
			seen.forget()
			isNew = true
		case err != nil:
			return err
		default:
			isNew = seen.learn(datagram)
		}
		if isNew {
			select {
			case news <- struct{}{}:
			default:
			}
		}
	}
}
