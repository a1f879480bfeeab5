package config

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

// Size is a number of bytes.
type Size int64

// Binary units.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

// sizeUnits is in the order in which String prefers them among equally short
// results. "KB" is read like SI's "kB".
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"TiB", 1 << 40}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3},
		{"B", 1},
	}
}

type sizeUnit struct {
	name  string
	bytes Size
}

// ParseSize reads "256KiB", "64MB", "1.5GiB" or a plain number of bytes.
func ParseSize(s string) (Size, error) {
	number, unit := strings.TrimSpace(s), Size(1)
	for _, u := range sizeUnits() {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			number, unit = strings.TrimRight(rest, " "), u.bytes
			break
		}
	}
	r, ok := new(big.Rat).SetString(number)
	// A rational takes exponents and fractions too, and digits without end.
	if !ok || len(number) > 20 || strings.Trim(number, "0123456789.") != "" {
		return 0, fmt.Errorf("%q is not a size; write 256KiB, 64MB or a number of bytes", s)
	}
	r.Mul(r, new(big.Rat).SetInt64(int64(unit)))
	switch {
	case !r.IsInt():
		return 0, fmt.Errorf("%q is not a whole number of bytes; write 256KiB, 64MB or a number of bytes", s)
	case !r.Num().IsInt64():
		return 0, fmt.Errorf("%q is too large; a size is at most %v", s, Size(math.MaxInt64))
	}
	return Size(r.Num().Int64()), nil
}

// String returns s exactly, in the unit that makes the number shortest.
func (s Size) String() string {
	number, unit := fmt.Sprint(int64(s)), ""
	for _, u := range sizeUnits() {
		if s == 0 || s%u.bytes != 0 {
			continue
		}
		if n := fmt.Sprint(int64(s / u.bytes)); len(n) < len(number) {
			number, unit = n, u.name
		}
	}
	return number + unit
}
