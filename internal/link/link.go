// Package link tells when the network may work again, so that someone who waits
// for it can try at once.
//
// What it guarantees:
//
//   - A call comes 500 ms after what it is about: a link that came up, an
//     address that can be used now, a default route. What follows in that time
//     is in it. So a burst is one call, and one without end no more than two a
//     second.
//   - Where the kernel had to drop messages a call is made: something changed,
//     and a call too many costs an attempt, one too few a long wait.
//   - What the kernel merely repeats is no reason for a call: a link for its
//     Wi-Fi statistics, an address for its lifetime, a route that was set to
//     what it was. After lost messages each of them may be one once more.
//   - While nothing happens it does nothing, and its memory is bounded.
//
// It says nothing about whether anyone can be reached, and the interfaces of
// containers count like others. The loopback interface does not.
package link

import "context"

// Watch calls up, from one goroutine, each time a link comes up or an address
// or a default route is added, until ctx is done. What is there when it begins
// does not count. A call that takes its time makes no messages wait; what came
// meanwhile becomes one call after it.
//
// It returns nil once ctx is done, and an error where the kernel cannot be
// listened to: errors.ErrUnsupported where there is no such thing, which is on
// every system but Linux. What it hears is of the network namespace that the
// calling thread is in.
func Watch(ctx context.Context, up func()) error { return watch(ctx, up) }
