package config

import "fmt"

// guard puts the default where an interval of the agent's own upkeep is not
// positive, and returns a warning for each. Such a value stops a timer, and
// never was meant to stop the agent.
func (l layers) guard() []string {
	d := Default()
	var warnings []string
	warn := func(key string, was, now any) {
		e := &Error{Where: l.origins.of(key), Key: key, Problem: fmt.Sprintf("%v is not positive; using the default, %v", was, now)}
		warnings = append(warnings, e.Error())
	}
	for _, g := range []struct {
		key      string
		value    *Duration
		fallback Duration
	}{
		{"storage.wal_checkpoint_interval", &l.cfg.Storage.WALCheckpointInterval, d.Storage.WALCheckpointInterval},
		{"monitoring.clock_skew_check_interval", &l.cfg.Monitoring.ClockSkewCheckInterval, d.Monitoring.ClockSkewCheckInterval},
		{"monitoring.meta_interval", &l.cfg.Monitoring.MetaInterval, d.Monitoring.MetaInterval},
	} {
		if *g.value <= 0 {
			warn(g.key, *g.value, g.fallback)
			*g.value = g.fallback
		}
	}
	if size := &l.cfg.Storage.WALCheckpointSizeMB; *size <= 0 {
		warn("storage.wal_checkpoint_size_mb", *size, d.Storage.WALCheckpointSizeMB)
		*size = d.Storage.WALCheckpointSizeMB
	}
	if on := l.cfg.Remote.Enabled; on != nil && *on && l.cfg.Remote.URL == "" {
		e := &Error{Where: l.origins.of("remote.enabled"), Key: "remote.enabled", Problem: "is true, but no remote.url is set: nothing is sent"}
		warnings = append(warnings, e.Error())
	}
	return warnings
}
