package config

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// masked stands where a secret stood.
const masked = "xxxxx"

// Masked returns a copy that can be shown: without the token, and without the
// credentials of any URL.
func (c Config) Masked() Config {
	c.Device.Tags = maps.Clone(c.Device.Tags)
	c.Collectors.Scrape.Targets = slices.Clone(c.Collectors.Scrape.Targets)
	if c.Remote.AuthToken != "" {
		c.Remote.AuthToken = masked
	}
	urls := []*string{&c.Remote.URL, &c.Remote.ReadURL, &c.Remote.ProxyURL, &c.Monitoring.ClockSkewURL}
	for i := range c.Collectors.Scrape.Targets {
		urls = append(urls, &c.Collectors.Scrape.Targets[i])
	}
	for _, u := range urls {
		*u = MaskURL(*u)
	}
	return c
}

// MaskURL returns text without the password of its user part, without a user
// that stands alone, as a token does, and without the values of query
// parameters that sound like secrets. What is not a URL loses all that might
// be one of these.
func MaskURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return maskUnparsed(text)
	}
	changed := false
	if u.User != nil {
		changed = true
		if _, has := u.User.Password(); has {
			u.User = url.UserPassword(u.User.Username(), masked)
		} else {
			u.User = url.User(masked)
		}
	}
	query := strings.Split(u.RawQuery, "&")
	for i, pair := range query {
		name, _, ok := strings.Cut(pair, "=")
		if ok && secretName(name) {
			query[i] = name + "=" + masked
			changed = true
		}
	}
	if !changed {
		return text
	}
	u.RawQuery = strings.Join(query, "&")
	return u.String()
}

func secretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"token", "key", "secret", "pass", "auth"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}

func maskUnparsed(text string) string {
	text, _, cut := strings.Cut(text, "?")
	if cut {
		text += "?" + masked
	}
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		start := 0
		if i := strings.Index(text, "//"); i >= 0 && i < at {
			start = i + 2
		}
		text = text[:start] + masked + text[at:]
	}
	return text
}
