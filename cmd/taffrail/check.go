package main

import "fmt"

type checkCmd struct {
	settings
}

// Run prints the configuration as run would have it.
func (c *checkCmd) Run(sys system) error {
	cfg, warnings, err := c.load(sys.env)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintln(sys.stderr, "taffrail: warning:", w)
	}
	_, err = sys.stdout.Write(cfg.Masked().YAML())
	return err
}
