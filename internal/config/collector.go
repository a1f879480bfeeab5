package config

import "time"

// Collectors holds one entry for each collector.
type Collectors struct {
	CPU      Collector         `key:"cpu"`
	Memory   Collector         `key:"memory"`
	Disk     DiskCollector     `key:"disk"`
	Network  NetworkCollector  `key:"network"`
	Thermal  Collector         `key:"thermal"`
	System   Collector         `key:"system"`
	Clock    Collector         `key:"clock"`
	Self     Collector         `key:"self"`
	Textfile TextfileCollector `key:"textfile"`
	Scrape   ScrapeCollector   `key:"scrape"`
}

// Collector holds the keys that every collector has.
type Collector struct {
	Enabled  bool      `key:"enabled"`
	Interval *Duration `key:"interval"` // nil: see Collectors.Interval
	Timeout  Duration  `key:"timeout"`
}

// DiskCollector adds which block devices are read: anchored RE2 patterns, one
// of which must match.
type DiskCollector struct {
	Collector
	AllowedDevices []string `key:"allowed_devices"`
}

// NetworkCollector adds which interfaces are read: anchored RE2 patterns;
// Include wins over Exclude.
type NetworkCollector struct {
	Collector
	Include       []string `key:"include"`
	Exclude       []string `key:"exclude"`
	MaxInterfaces int      `key:"max_interfaces"`
}

// TextfileCollector adds the directory that is read for *.prom files.
type TextfileCollector struct {
	Collector
	Dir string `key:"dir"`
}

// ScrapeCollector adds the URLs of local exporters.
type ScrapeCollector struct {
	Collector
	Targets []string `key:"targets"`
}

// Intervals of collectors that were given none.
const (
	defaultInterval     = Duration(10 * time.Second)
	defaultSelfInterval = Duration(60 * time.Second)
)

const selfName = "self"

func defaultCollectors() Collectors {
	c := Collector{Enabled: true, Timeout: Duration(5 * time.Second)}
	return Collectors{
		CPU:    c,
		Memory: c,
		Disk: DiskCollector{Collector: c, AllowedDevices: []string{
			`sd[a-z]+`, `hd[a-z]+`, `vd[a-z]+`, `xvd[a-z]+`, `nvme[0-9]+n[0-9]+`, `mmcblk[0-9]+`,
		}},
		Network: NetworkCollector{
			Collector: c,
			Include:   []string{},
			Exclude: []string{
				`lo`, `docker.*`, `veth.*`, `br-.*`, `wlan.*mon`, `virbr.*`, `wwan.*`, `wwp.*`, `usb.*`,
			},
			MaxInterfaces: 32,
		},
		Thermal:  c,
		System:   c,
		Clock:    c,
		Self:     c,
		Textfile: TextfileCollector{Collector: c},
		Scrape:   ScrapeCollector{Collector: c, Targets: []string{}},
	}
}

// named is a collector's common part under its name.
type named struct {
	name string
	*Collector
}

func (c *Collectors) all() []named {
	return []named{
		{"cpu", &c.CPU}, {"memory", &c.Memory}, {"disk", &c.Disk.Collector},
		{"network", &c.Network.Collector}, {"thermal", &c.Thermal}, {"system", &c.System},
		{"clock", &c.Clock}, {selfName, &c.Self}, {"textfile", &c.Textfile.Collector},
		{"scrape", &c.Scrape.Collector},
	}
}

// Names returns the collectors' names.
func (c Collectors) Names() []string {
	var names []string
	for _, n := range c.all() {
		names = append(names, n.name)
	}
	return names
}

// Get returns what all collectors have in common, for the one called name.
func (c Collectors) Get(name string) (Collector, bool) {
	for _, n := range c.all() {
		if n.name == name {
			return *n.Collector, true
		}
	}
	return Collector{}, false
}

// Interval returns how often the collector called name runs: its own interval
// where one is set, else fallback (the --interval flag) where that is positive,
// else 10 s. The agent's own counters are a matter of minutes: for self the
// fallback does not count, and the default is 60 s.
func (c Collectors) Interval(name string, fallback time.Duration) time.Duration {
	own, _ := c.Get(name)
	switch {
	case own.Interval != nil:
		return own.Interval.Std()
	case name == selfName:
		return defaultSelfInterval.Std()
	case fallback > 0:
		return fallback
	}
	return defaultInterval.Std()
}
