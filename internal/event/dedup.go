package event

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// DedupKey returns the key by which one sample is told from every other: hex
// SHA-256 over name, time, device, labels and type. Each part is preceded by
// its length, so that no two samples can run together into the same bytes.
func DedupKey(s *Series, timestampMS int64, deviceID string) string {
	b := make([]byte, 0, 256)
	part := func(p []byte) {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	part([]byte(s.Name))
	part(binary.BigEndian.AppendUint64(nil, uint64(timestampMS)))
	part([]byte(deviceID))
	part(s.Labels.AppendJSON(nil))
	part([]byte(s.Type.String()))
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
