package victoria

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// endOfTime is beyond every sample that VictoriaMetrics can hold, in seconds.
// Without it an export stops at the last whole second (seen with v1.151.0), and
// hides what is younger.
const endOfTime = "9223372036"

// ahead is more than the two days by which a sample may be ahead of the
// receiver's clock.
const ahead = 72 * time.Hour

// Series is all that the server holds of one series, in time order.
type Series struct {
	Labels     map[string]string // the name is __name__
	Values     []float64         // as many as Timestamps
	Timestamps []int64           // milliseconds since 1970
}

// Flush makes everything that was imported visible to queries.
func (s *Server) Flush(ctx context.Context) error {
	body, err := s.get(ctx, "/internal/force_flush", nil)
	if err != nil {
		return fmt.Errorf("flush VictoriaMetrics: %w", err)
	}
	return body.Close()
}

// Export returns every sample that is stored of the series that match, such as
// `{device_id="a"}`, each series once, sorted by labels. A sample that was
// imported twice stands there twice until the server has merged it away.
// Values have about 12 significant digits; that is how the server keeps them.
func (s *Server) Export(ctx context.Context, match string) ([]Series, error) {
	return s.export(ctx, url.Values{"match[]": {match}, "end": {endOfTime}, "reduce_mem_usage": {"1"}})
}

// ExportDeduplicated is Export as every query of the server sees its samples:
// with dedup.minScrapeInterval applied.
func (s *Server) ExportDeduplicated(ctx context.Context, match string) ([]Series, error) {
	return s.export(ctx, url.Values{"match[]": {match}, "end": {endOfTime}})
}

// Count returns how many samples of the series that match a query sees, of all
// times.
func (s *Server) Count(ctx context.Context, match string) (uint64, error) {
	query := url.Values{
		// Back beyond any sample of ours, and not before 1970.
		"query": {"sum(count_over_time(" + match + "[50y]))"},
		"time":  {strconv.FormatInt(time.Now().Add(ahead).Unix(), 10)},
		// The cache would hide samples that came in late.
		"nocache": {"1"},
	}
	body, err := s.get(ctx, "/api/v1/query", query)
	if err != nil {
		return 0, fmt.Errorf("count in VictoriaMetrics: %w", err)
	}
	defer body.Close()
	n, err := decodeCount(body)
	if err != nil {
		return 0, fmt.Errorf("count in VictoriaMetrics: %w", err)
	}
	return n, nil
}

// decodeCount reads the answer to an instant query that has one number as its
// result, or, where there is nothing to count, none.
func decodeCount(r io.Reader) (uint64, error) {
	var answer struct {
		Data *struct {
			Result []struct {
				Value [2]json.RawMessage `json:"value"` // time, and the number as a string
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(r).Decode(&answer); err != nil {
		return 0, fmt.Errorf("decode answer: %w", err)
	}
	switch {
	case answer.Data == nil:
		return 0, errors.New("decode answer: it has no data")
	case len(answer.Data.Result) == 0:
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.Trim(string(answer.Data.Result[0].Value[1]), `"`), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("decode answer: %w", err)
	}
	return n, nil
}

func (s *Server) export(ctx context.Context, query url.Values) ([]Series, error) {
	body, err := s.get(ctx, "/api/v1/export", query)
	if err != nil {
		return nil, fmt.Errorf("export from VictoriaMetrics: %w", err)
	}
	defer body.Close()
	all, err := decodeExport(body)
	if err != nil {
		return nil, fmt.Errorf("export from VictoriaMetrics: %w", err)
	}
	return all, nil
}

// decodeExport reads the lines of an export, of which several can speak of one
// series, in any order.
func decodeExport(r io.Reader) ([]Series, error) {
	type line struct {
		Metric     map[string]string `json:"metric"`
		Values     []exported        `json:"values"`
		Timestamps []int64           `json:"timestamps"`
	}
	byKey := make(map[string]*Series)
	dec := json.NewDecoder(r)
	for n := 1; ; n++ {
		var l line
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("decode line %d: %w", n, err)
		}
		if len(l.Values) != len(l.Timestamps) {
			return nil, fmt.Errorf("decode line %d: %d values at %d times", n, len(l.Values), len(l.Timestamps))
		}
		key, err := json.Marshal(l.Metric) // sorted by label
		if err != nil {
			return nil, fmt.Errorf("decode line %d: %w", n, err)
		}
		series := byKey[string(key)]
		if series == nil {
			series = &Series{Labels: l.Metric}
			byKey[string(key)] = series
		}
		series.Timestamps = append(series.Timestamps, l.Timestamps...)
		for _, v := range l.Values {
			series.Values = append(series.Values, float64(v))
		}
	}
	all := make([]Series, 0, len(byKey))
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		series := byKey[key]
		series.sort()
		all = append(all, *series)
	}
	return all, nil
}

// sort orders the samples by time, and those of one time by value.
func (s *Series) sort() {
	order := make([]int, len(s.Timestamps))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(s.Timestamps[a], s.Timestamps[b]), cmp.Compare(s.Values[a], s.Values[b]))
	})
	timestamps, values := make([]int64, len(order)), make([]float64, len(order))
	for to, from := range order {
		timestamps[to], values[to] = s.Timestamps[from], s.Values[from]
	}
	s.Timestamps, s.Values = timestamps, values
}

// exported is a value of an export, which writes NaN as null and the
// infinities as strings.
type exported float64

// UnmarshalJSON reads a number, null, "Infinity" or "-Infinity".
func (v *exported) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	if text == "null" {
		*v = exported(math.NaN())
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("decode value: %w", err)
	}
	*v = exported(f)
	return nil
}

// RowsAdded returns how many samples the storage took since the server's last
// start, repeated ones included.
func (s *Server) RowsAdded(ctx context.Context) (uint64, error) {
	body, err := s.get(ctx, "/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("read the metrics of VictoriaMetrics: %w", err)
	}
	defer body.Close()
	return counter(body, "vm_rows_added_to_storage_total")
}

// counter finds the series that has this name and no labels in a Prometheus
// text exposition.
func counter(r io.Reader, name string) (uint64, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("decode %s: %w", name, err)
			}
			return n, nil
		}
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("look for %s: %w", name, err)
	}
	return 0, fmt.Errorf("look for %s: it is not there", name)
}

// get returns the body of the answer, which must have status 200. The caller
// closes it.
func (s *Server) get(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // only to say more
		return nil, fmt.Errorf("GET %s: %s: %s", path, resp.Status, strings.TrimSpace(string(text)))
	}
	return resp.Body, nil
}
