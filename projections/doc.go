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
// Uploads: a sample counts as uploaded when it is a finite number, its tick has
// a time, and the tick's record is in a range that is acknowledged. A range is,
// once all chunks of its batch are; where a batch holds only part of a record
// (event.Plan.More), with the last batch of that record; or when a segment's
// header says so. A chunk by itself uploads nothing, as nothing but the log's
// rendering tells which samples are in it. Text, NaN and infinities never count,
// neither as uploaded nor as pending; they stay stored.
//
// Retention removes the oldest ticks, and whatever belongs to them, while a tick
// is older than Options.Retention before the newest that is stored, or while
// all ticks together weigh more than Options.MaxBytes. The newest time is that
// of the records, never the wall clock: what is removed must be the same on
// every rebuild. The weight is an estimate by counts for the same reason. Ticks
// without a time go with those behind them, or by weight. Series are not
// removed before the next rebuild, since their ids must not depend on when rows
// went.
package projections
