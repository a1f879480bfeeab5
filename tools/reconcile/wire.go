package reconcile

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Owner is what a device adds to the labels of all its series.
type Owner struct {
	DeviceID string
	Tags     map[string]string
}

// wireLabels returns the labels under which a receiver should hold a series:
//
//   - A byte that the name of a metric or of a label cannot have is an underscore.
//   - A label whose name was changed by that has four bytes of its SHA-256
//     appended, in hex.
//   - A label without a value is none for VictoriaMetrics. The names of those that
//     a series has stand in the label empty_labels.
//
// It knows no clashes of names, for no collector makes any.
func (o Owner) wireLabels(name string, own map[string]string) (string, error) {
	labels := map[string]string{"__name__": plain(name, ":"), "device_id": o.DeviceID}
	var empty []string
	for label, value := range own {
		if value == "" {
			empty = append(empty, label)
		}
	}
	if len(empty) > 0 {
		slices.Sort(empty)
		labels["empty_labels"] = strings.Join(empty, ",")
	}
	for _, set := range []map[string]string{own, o.Tags} {
		for label, value := range set {
			wire := wireLabel(label)
			if _, clash := labels[wire]; clash {
				return "", fmt.Errorf("%s %v: more than one label would be %s at the receiver", name, own, wire)
			}
			if value != "" {
				labels[wire] = value
			}
		}
	}
	maps.DeleteFunc(labels, func(_, value string) bool { return value == "" })
	return labelsJSON(labels)
}

func wireLabel(name string) string {
	wire := plain(name, "")
	if wire != name {
		sum := sha256.Sum256([]byte(name))
		wire = fmt.Sprintf("%s_%x", wire, sum[:4])
	}
	return wire
}

// plain replaces every byte that a name at a receiver cannot have by an
// underscore: what is neither a letter, a digit, an underscore nor in more.
func plain(name, more string) string {
	b := []byte(name)
	for i, c := range b {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && (more == "" || c != more[0]) {
			b[i] = '_'
		}
	}
	return string(b)
}
