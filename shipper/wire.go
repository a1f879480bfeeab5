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
const rendererVersion = 2

// Labels that taffrail sets itself, and the prefix of a series' own label of such
// a name.
const (
	nameLabel      = "__name__"
	deviceLabel    = "device_id"
	emptyLabel     = "empty_labels"
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

// maxNames bounds how many names are remembered as taken. A name beyond it always
// has a hash of its own.
const maxNames = 1000

// identities gives series their labels at the receiver, such that no two series
// become one:
//
//   - A dot in a metric's name becomes an underscore, and so does what is not
//     allowed there. Where two names are the same on the wire, the one that was
//     sent first keeps it, for ever, and the other has a short hash of its own
//     appended. Which names were sent is part of the ledger.
//   - A label's name that had to be changed has a short hash of its own appended.
//   - device_id and device.tags are set by taffrail; a label of a series with
//     such a name is sent under the prefix exported_, as Prometheus does it.
//   - A label without a value is none for the receiver. It is left out, and its
//     name stands in the label empty_labels.
type identities struct {
	device string
	tags   event.Labels
	wire   map[string]string // names on the wire, and whose they are
	added  []string          // inside names that were not among those known
}

// newIdentities returns the identities of a device's series; names are the inside
// names that were sent before.
func newIdentities(device string, tags event.Labels, names []string) *identities {
	ids := &identities{device: device, tags: tags, wire: make(map[string]string, len(names))}
	for _, name := range names {
		ids.wire[MetricName(name)] = name
	}
	return ids
}

// metric returns the series' labels as the JSON object of an import line.
func (ids *identities) metric(s *event.Series) string {
	return metricJSON(ids.name(s.Name), ids.labels(s))
}

func (ids *identities) name(inside string) string {
	wire := MetricName(inside)
	owner, taken := ids.wire[wire]
	switch {
	case !taken && len(ids.wire) < maxNames:
		ids.wire[wire] = inside
		ids.added = append(ids.added, inside)
	case !taken || owner != inside:
		wire += "_" + shortHash(inside)
	}
	return wire
}

// labels joins the device, the tags and the series' own labels.
func (ids *identities) labels(s *event.Series) event.Labels {
	labels := event.Labels{{Name: deviceLabel, Value: ids.device}}
	for _, tag := range ids.tags {
		if name := labelName(tag.Name); tag.Value != "" && !reserved(labels, name) {
			labels = append(labels, event.Label{Name: name, Value: tag.Value})
		}
	}
	ours := labels
	var empty []string
	for _, l := range s.Labels {
		if l.Value == "" {
			empty = append(empty, l.Name)
			continue
		}
		name := labelName(l.Name)
		plain, exported := strings.CutPrefix(name, exportedPrefix)
		switch {
		case reserved(ours, name):
			name = exportedPrefix + name
			if reserved(ours, name) {
				name += "_" + shortHash(l.Name)
			}
		case exported && reserved(ours, plain):
			name += "_" + shortHash(l.Name)
		}
		labels = append(labels, event.Label{Name: name, Value: l.Value})
	}
	if len(empty) > 0 {
		labels = append(labels, event.Label{Name: emptyLabel, Value: strings.Join(empty, ",")})
	}
	slices.SortFunc(labels, func(a, b event.Label) int { return strings.Compare(a.Name, b.Name) })
	return labels
}

// reserved reports whether a label's name is one that taffrail sets.
func reserved(ours event.Labels, name string) bool {
	return name == nameLabel || name == emptyLabel || slices.ContainsFunc(ours, func(l event.Label) bool { return l.Name == name })
}

// labelName is LabelName with a hash where that changes the name.
func labelName(name string) string {
	wire := LabelName(name)
	if wire != name {
		wire += "_" + shortHash(name)
	}
	return wire
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
