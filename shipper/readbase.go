package shipper

import (
	"net/url"
	"strings"
)

// readOff is the read URL that says that nothing is to be read back.
const readOff = "off"

// Paths of VictoriaMetrics' APIs.
const (
	apiPath    = "/api/v1"
	importPath = "/api/v1/import"
)

// ReadBase returns the address below which a receiver's read API is, without a
// slash at its end: http://host:8428 for a single node,
// http://host:8481/select/0/prometheus for a cluster. User and password of the
// address stay in it; a query does not.
//
// readURL is remote.read_url. "off" gives "". Where one is set it is taken, with
// or without /api/v1 and more at its end. Else the address comes from that of the
// import API: what stands before /api/v1/import, with /insert/TENANT/prometheus
// of a cluster turned into /select/TENANT/prometheus.
//
// It is not ok where there is no such address. An import that adds labels to what
// it gets (extra_label, or the tenant "multitenant") has none either: its series
// are not found again under the labels that they were sent with.
func ReadBase(importURL, readURL string) (base string, ok bool) {
	if readURL == readOff {
		return "", true
	}
	if readURL != "" {
		u, path, ok := splitURL(readURL)
		if !ok {
			return "", false
		}
		if i := strings.LastIndex(path+"/", apiPath+"/"); i >= 0 {
			path = path[:i]
		}
		return joinURL(u, path), true
	}
	u, path, ok := splitURL(importURL)
	if !ok || u.Query().Has("extra_label") {
		return "", false
	}
	path, ok = strings.CutSuffix(path, importPath)
	if !ok {
		return "", false
	}
	if path, ok = selectPath(path); !ok {
		return "", false
	}
	return joinURL(u, path), true
}

// selectPath turns the path of a cluster's vminsert into that of its vmselect,
// and leaves every other as it is.
func selectPath(path string) (string, bool) {
	parts := strings.Split(path, "/")
	n := len(parts)
	if n < 4 || parts[n-3] != "insert" || parts[n-1] != "prometheus" {
		return path, true
	}
	parts[n-3] = "select"
	return strings.Join(parts, "/"), parts[n-2] != "multitenant"
}

// splitURL parses an absolute URL of HTTP. The path is as it goes over the wire,
// without slashes at its end.
func splitURL(s string) (u *url.URL, path string, ok bool) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, "", false
	}
	return u, strings.TrimRight(u.EscapedPath(), "/"), true
}

// joinURL returns u with another path, without query and fragment.
func joinURL(u *url.URL, path string) string {
	plain, err := url.PathUnescape(path)
	if err != nil {
		plain = path
	}
	return (&url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host, Path: plain, RawPath: path}).String()
}
