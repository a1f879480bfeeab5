// Package shipper brings the samples of the log to a VictoriaMetrics.
//
// What it guarantees:
//
//   - A batch is planned in the log, with the digests of its chunks, before its
//     first byte is sent. Whatever comes between, a restart, a new
//     configuration, an answer that was lost, the batch is sent again with the
//     same bytes and the same id.
//   - Nothing counts as sent that an import API did not answer with success. A
//     captive portal's page, a redirect or an unexpected body is no success.
//   - What was answered for is looked for at the receiver, a minute later, and
//     what is missing is sent again. Until it was seen, the log keeps it.
//   - At a receiver that does not merge equal samples, nothing that may be stored
//     is sent again before it was looked for.
//   - One line that the receiver refuses is set aside, with the reason, and holds
//     up nothing. Where all is refused, nothing is given up.
//   - Fresh samples go before a backlog.
//   - Memory is bounded by one batch and one look, whatever the backlog.
//
// What it assumes: it is the only one that appends plans, acknowledgements and
// what else speaks of uploads to its log; and a receiver that cannot be asked what
// it holds removes duplicates (-dedup.minScrapeInterval=1ms).
//
// The way of a batch: queue.go decides what comes next, plan.go makes a batch of
// it, delivery.go sends it, narrow.go finds the lines that are refused; settle.go
// and look.go find out what is stored, and proof.go does where nobody may look.
package shipper
