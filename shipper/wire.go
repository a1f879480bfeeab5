package shipper

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"taffrail/internal/event"
)

// rendererVersion is the version of the rules by which samples become JSONL. A
// plan names the version that it was made with.
const rendererVersion = 1

// Labels that taffrail sets itself. A label of a series with such a name is sent
// under exportedPrefix and its name, as Prometheus does it.
const (
	nameLabel      = "__name__"
	deviceLabel    = "device_id"
	exportedPrefix = "exported_"
)

// MetricName returns a name as the receiver gets it: only [a-zA-Z0-9_:], no
// digit first. A dot becomes an underscore, and so does every other byte that
// is not allowed.
func MetricName(name string) string { return sanitize(name, true) }

// LabelName is MetricName for labels, which have no colons.
func LabelName(name string) string { return sanitize(name, false) }

func sanitize(name string, colons bool) string {
	allowed := func(i int, c byte) bool {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
			return true
		case c >= '0' && c <= '9':
			return i > 0
		}
		return c == ':' && colons
	}
	clean := []byte(name)
	for i, c := range clean {
		if !allowed(i, c) {
			clean[i] = '_'
		}
	}
	if len(name) > 0 && name[0] >= '0' && name[0] <= '9' {
		clean = append([]byte{'_'}, name...)
		for i, c := range clean {
			if !allowed(i, c) {
				clean[i] = '_'
			}
		}
	}
	return string(clean)
}

// identities gives the series of a batch their labels at the receiver. Names
// that differ on the device may be the same on the wire; of such series the one
// that comes first in the log keeps the name, and a later one has a short hash
// of its own appended.
type identities struct {
	device string
	tags   event.Labels
	taken  map[string]bool
}

func newIdentities(device string, tags event.Labels) *identities {
	return &identities{device: device, tags: tags, taken: make(map[string]bool)}
}

// metric returns the series' labels as the JSON object of an import line.
func (ids *identities) metric(s *event.Series) string {
	labels := ids.labels(s)
	name := MetricName(s.Name)
	metric := metricJSON(name, labels)
	if ids.taken[metric] {
		metric = metricJSON(name+"_"+shortHash(s.Key()), labels)
	}
	ids.taken[metric] = true
	return metric
}

// labels joins the device, the series' own labels and the tags; of equal names
// the first in this order stays.
func (ids *identities) labels(s *event.Series) event.Labels {
	labels := event.Labels{{Name: deviceLabel, Value: ids.device}}
	has := func(name string) bool {
		return slices.ContainsFunc(labels, func(l event.Label) bool { return l.Name == name })
	}
	for _, l := range s.Labels {
		name := LabelName(l.Name)
		if name == nameLabel || name == deviceLabel {
			name = exportedPrefix + name
		}
		if has(name) {
			name += "_" + shortHash(l.Name)
		}
		labels = append(labels, event.Label{Name: name, Value: l.Value})
	}
	for _, tag := range ids.tags {
		if name := LabelName(tag.Name); !has(name) && name != nameLabel {
			labels = append(labels, event.Label{Name: name, Value: tag.Value})
		}
	}
	slices.SortFunc(labels, func(a, b event.Label) int { return strings.Compare(a.Name, b.Name) })
	return labels
}

func metricJSON(name string, labels event.Labels) string {
	b := append([]byte(nil), `{"__name__":`...)
	b = event.AppendJSONString(b, name)
	b = append(b, ',')
	return string(append(b, labels.AppendJSON(nil)[1:]...))
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}
