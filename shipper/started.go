package shipper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// The metric that tells when the process was started, and one that only a process
// has that stores samples. Metrics of the application stand before those of the
// process.
const (
	startMetric   = "vm_app_start_timestamp "
	storageMetric = "vm_rows_added_to_storage_total "
)

// started returns what identifies the process that holds the samples: it changes
// when that is started anew, and at no other time. It is a time in whole seconds,
// so that two starts within one second are one.
//
// It is "" where no such process can be seen: its metrics are not shown, or they
// are those of a vmselect or a vmauth, whose starts say nothing of the storage.
func (r *receiver) started(ctx context.Context) (string, error) {
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	var start string
	stores := false
	err := r.metrics(ctx, func(line []byte) (bool, error) {
		stores = stores || bytes.HasPrefix(line, []byte(storageMetric))
		value, ok := bytes.CutPrefix(line, []byte(startMetric))
		if !ok {
			return false, nil
		}
		start = string(bytes.TrimSpace(value))
		if start == "" || len(start) > 32 {
			return true, errors.New("the start is no number")
		}
		return true, nil
	})
	switch {
	case notShown(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read the receiver's start: %w", err)
	case !stores:
		return "", nil
	}
	return start, nil
}

// metrics calls each with the lines of the process's metrics until it is done. The
// rest is not unpacked, but it is read, since it is on its way already and an
// answer that is cut off costs the connection.
func (r *receiver) metrics(ctx context.Context, each func(line []byte) (done bool, err error)) error {
	a, err := r.open(ctx, readCall{url: r.root.JoinPath("metrics"), media: "text/plain", limit: maxMetrics})
	if err != nil {
		return err
	}
	defer a.close()
	lines := lineReader{r: a.body, limit: maxFlagLine}
	for done := false; !done; {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			done, err = each(line)
		}
		if err != nil {
			return r.unknown(ctx, "read the metrics", err)
		}
	}
	a.drop()
	return nil
}
