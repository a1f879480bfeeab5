// Package projections keeps the index: a SQLite database in which what the log
// holds can be asked for by time and series.
//
// What it guarantees:
//
//   - The index is disposable. Whatever is wrong with its files (missing, cut
//     short, a flipped bit, another log's, a later version's), they are set
//     aside and built again from the log, and nothing else on the device stops.
//   - Every transaction moves the rows and the position in the log together, so
//     a kill at any moment loses and repeats nothing.
//   - The rows are a pure function of the log up to the position and of the
//     bounds of retention: how the log was cut into transactions, when the
//     process died and whether times were decided before or after a tick was
//     read makes no difference to the logical dump.
//   - A query sees what the log held when it was asked, also what is not in the
//     database yet, in order, and no sample twice.
//   - Memory is bounded: Options.MaxSamples samples that wait to be written, a
//     fixed number of cached series, SQLite's page cache.
//   - Values are kept bit by bit, NaN and infinities included.
//
// What it assumes: the source gives each record once, in order, and the same
// ones every time, those left out that are damaged; one engine has the database
// open for writing; the file system is one on which SQLite's WAL works.
//
// The tables are in migrations/0006_index.sql. Each has a file here, with the
// projection that fills it. A projection folds record after record into memory
// and writes what changed when the engine commits.
//
// Uploads: what the events mean is the ledger's to say (event.Ledger), and the
// index follows it. A sample counts as uploaded when it is a finite number, its
// tick has a time and is in a range that is acknowledged, and the sample was not
// given up by itself.
//
//   - A range is acknowledged once its batch is complete and nothing of it is in
//     doubt; else when it is settled; or when a segment's header says so. A chunk
//     or a line by itself uploads nothing: only the log's rendering tells which
//     samples are in it, and the batch can still be planned anew.
//   - A range is given up as a whole when a reject or a drop says so.
//   - Single samples are given up when their line is refused, at once, and until
//     the batch is planned anew if it is; and when the receiver lacks them for
//     good. Each has a row in the table rejected, some 14 bytes.
//
// What is in doubt is pending, what was given up is not. Text, NaN and infinities
// never count, neither as uploaded nor as pending; they stay stored.
//
// Retention removes the oldest ticks, and whatever belongs to them, while a tick
// is older than Options.Retention before the newest that is stored, or while
// all ticks together weigh more than Options.MaxBytes. The newest time is that
// of the records, never the wall clock: what is removed must be the same on
// every rebuild. The weight is an estimate by counts for the same reason, made
// when a tick is written: rows in the table rejected come on top. Ticks without a
// time go with those behind them, or by weight. Series are not removed before the
// next rebuild, since their ids must not depend on when rows went.
package projections
