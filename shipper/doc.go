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
//   - Nothing is given up: what a receiver refuses stays in the log and is tried
//     again in the next cycle.
//   - Memory is bounded by one batch, whatever the backlog.
//
// What it assumes: it is the only one that appends plans and acknowledgements to
// its log, and the receiver removes duplicates (-dedup.minScrapeInterval=1ms),
// since a batch whose answer was lost is sent twice.
package shipper
