// Package eventlog is taffrail's log: a directory of append-only segments that
// holds everything that happened on a device.
//
// What it guarantees:
//
//   - Append returns nil only when the record is on stable storage; with a
//     sync interval set, within that interval.
//   - A record that was appended is read back byte for byte, or reported as
//     damaged with segment and offset.
//   - Damage costs the records it touches, and at most the rest of their group
//     of ticks.
//   - One segment alone can be decoded: device, labels and times included.
//   - Readers never write. History is read by this package's own scanner, which
//     trusts no length and no byte that a checksum does not cover.
//
// What it assumes: one process writes to a directory at a time (the caller
// holds the state directory's lock), and nothing but this package changes
// segments behind its back; where something did, the damage is reported.
//
// Appending goes through github.com/tidwall/wal, one record an entry. The bytes
// are drawn in frame.go and encoder.go, and in docs/format.md.
package eventlog
