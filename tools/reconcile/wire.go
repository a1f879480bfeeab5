package reconcile

import (
	"fmt"
	"maps"
)

// Owner is what a device adds to the labels of all its series.
type Owner struct {
	DeviceID string
	Tags     map[string]string
}

// wireLabels returns the labels under which a receiver should hold a series. It
// knows no clashes of names, for no collector makes any.
func (o Owner) wireLabels(name string, own map[string]string) (string, error) {
	labels := map[string]string{"__name__": plain(name, ":"), "device_id": o.DeviceID}
	for _, set := range []map[string]string{own, o.Tags} {
		for label, value := range set {
			wire := plain(label, "")
			if _, clash := labels[wire]; clash {
				return "", fmt.Errorf("%s %v: more than one label would be %s at the receiver", name, own, wire)
			}
			labels[wire] = value
		}
	}
	// For VictoriaMetrics an empty value is no label.
	maps.DeleteFunc(labels, func(_, value string) bool { return value == "" })
	return labelsJSON(labels)
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
