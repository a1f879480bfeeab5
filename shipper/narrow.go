package shipper

import (
	"context"
	"errors"
	"net/http"
)

// narrow finds the lines that the receiver refuses, by halves, and gives them up.
// But only what it refuses beside something that it takes: where it takes nothing
// at all, not even a body without a line, the address or the receiver is wrong
// and not the lines.
func (d *delivery) narrow(ctx context.Context, p portion, failed *SendError) error {
	counted := failed.Status < 300 // an import API, but its numbers do not add up
	if !d.took && !counted {
		a, err := d.s.client.probe(ctx)
		d.s.note(a, err)
		if err != nil {
			return failed
		}
		d.took = true
	}
	switch {
	case p.from < p.to:
		return d.sendHalves(ctx, p)
	case failed.Status == http.StatusRequestEntityTooLarge && d.b.pieces[p.chunk][p.from].samples() > 1:
		return d.sendByTime(ctx, p, failed)
	case counted:
		return failed
	}
	d.reject(p, failed.Status, excerptOf(failed))
	return nil
}

// sendByTime sends a line that is too large by itself in several requests. It
// counts as taken when all of them are.
func (d *delivery) sendByTime(ctx context.Context, p portion, failed *SendError) error {
	whole := d.b.pieces[p.chunk][p.from]
	left := []piece{whole}
	for len(left) > 0 {
		_, body, err := d.s.live.render(left[:1])
		if err != nil {
			return err
		}
		_, err = d.s.try(ctx, &message{batch: d.b.plan.Batch, chunk: p.chunk, lines: "part", count: 1, body: body}, 1)
		var again *SendError
		switch {
		case err == nil:
			left = left[1:]
		case errors.As(err, &again) && again.Kind == ErrRefused && left[0].samples() > 1:
			first, second := left[0].halves()
			left = append([]piece{first, second}, left[1:]...)
		case errors.As(err, &again) && again.Kind == ErrRefused:
			d.reject(p, failed.Status, excerptOf(failed))
			return nil
		default:
			return err
		}
	}
	d.taken(p)
	return nil
}
