package shipper

import "time"

// minBody is the smallest gzip body that a time-out makes the shipper send.
const minBody = 8 << 10

// sampleWireBytes is about what a sample takes on the wire in a backlog.
const sampleWireBytes = 3

// sendWindow adapts the size of a request to the link: what cannot be brought to
// its end within remote.timeout is halved, and doubled again when it can.
type sendWindow struct {
	most    int // max_chunk_bytes
	timeout time.Duration
	bytes   int     // of a body at most
	rate    float64 // bytes a second of the last bodies, 0: not known
}

func newSendWindow(most int, timeout time.Duration) sendWindow {
	return sendWindow{most: most, timeout: timeout, bytes: most}
}

func (w *sendWindow) chunkBytes() int { return w.bytes }

// batchSamples bounds a batch such that fresh samples need not wait behind a
// backlog for longer than half of an upload interval.
func (w *sendWindow) batchSamples(interval time.Duration) int {
	if w.rate == 0 {
		return maxBatchSamples
	}
	n := w.rate * interval.Seconds() / 2 / sampleWireBytes
	return int(min(max(n, 1000), maxBatchSamples))
}

// sent notes a body that was answered.
func (w *sendWindow) sent(bytes int, took time.Duration) {
	if bytes < minBody/2 {
		return // its time is the round trip's
	}
	rate := float64(bytes) / max(took, time.Millisecond).Seconds()
	if w.rate == 0 {
		w.rate = rate
	}
	w.rate += (rate - w.rate) / 4
	// Not so large that half of the time-out would not do.
	if 2*bytes >= w.bytes && w.rate*w.timeout.Seconds()/2 >= float64(w.bytes) {
		w.bytes = min(2*w.bytes, w.most)
	}
}

// timedOut notes a body that was not answered in time.
func (w *sendWindow) timedOut(bytes int, after time.Duration) {
	w.bytes = max(min(w.bytes, bytes)/2, minBody)
	w.rate = float64(bytes) / 2 / max(after, time.Millisecond).Seconds()
}
