package health

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func request(t *testing.T, s Snapshot, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	Register(mux, func() Snapshot { return s })
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return rec
}

func withStatus(status Status) Snapshot {
	s := well()
	switch status {
	case Degraded:
		s.Collectors[0].LastError = "x"
	case Error:
		s.Collectors[0].LastError, s.Collectors[1].LastError = "x", "y"
	}
	return s
}

func TestHandlerCodes(t *testing.T) {
	for _, tt := range []struct {
		status              Status
		health, ready, live int
	}{
		{OK, 200, 200, 200},
		{Degraded, 200, 503, 200},
		{Error, 503, 503, 200},
	} {
		s := withStatus(tt.status)
		for path, want := range map[string]int{"/health": tt.health, "/health/ready": tt.ready, "/health/live": tt.live} {
			rec := request(t, s, "GET", path)
			if rec.Code != want {
				t.Errorf("%s: GET %s is %d, want %d", tt.status, path, rec.Code, want)
			}
			var body struct{ Status Status }
			if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
				t.Errorf("GET %s: %v in %s", path, err, rec.Body)
			}
			shown := tt.status
			if path == "/health/live" {
				shown = OK
			}
			if body.Status != shown {
				t.Errorf("%s: GET %s says %q", tt.status, path, body.Status)
			}
			if got := rec.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
			if rec := request(t, s, "HEAD", path); rec.Code != want {
				t.Errorf("%s: HEAD %s is %d, want %d", tt.status, path, rec.Code, want)
			}
			if rec := request(t, s, "POST", path); rec.Code != http.StatusMethodNotAllowed {
				t.Errorf("POST %s is %d", path, rec.Code)
			}
		}
	}
}

// TestLiveAsksNobody: a part that does not answer does not make the process
// look dead.
func TestLiveAsksNobody(t *testing.T) {
	mux := http.NewServeMux()
	Register(mux, func() Snapshot { panic("asked") })
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/health/live", nil))
	if rec.Code != http.StatusOK {
		t.Errorf("code %d", rec.Code)
	}
}

func TestHealthJSON(t *testing.T) {
	s := well()
	s.Now = start.Add(90*time.Second + 250500*time.Microsecond)
	s.Uploader = &Uploader{Enabled: true, LastSuccess: s.Now.In(time.FixedZone("", 7200)), Pending: 12, ProductionPerSecond: 1.5}
	s.Collectors = []Collector{{Name: "cpu", LastSuccess: s.Now, LastErrorAt: start}}
	s.Log, s.Time = nil, nil
	s.HTTP = &Part{Warning: "cannot listen"}
	want := `{
  "status": "degraded",
  "uptime_seconds": 90.251,
  "time": "2026-03-01T12:01:30.25Z",
  "components": {
    "collector.cpu": {
      "status": "ok",
      "last_success": "2026-03-01T12:01:30.25Z",
      "last_error": "2026-03-01T12:00:00Z"
    },
    "http": {
      "status": "degraded",
      "message": "cannot listen"
    },
    "uploader": {
      "status": "ok",
      "last_success": "2026-03-01T12:01:30.25Z",
      "details": {
        "pending": 12,
        "production_per_second": 1.5
      }
    }
  }
}
`
	if got := request(t, s, "GET", "/health").Body.String(); got != want {
		t.Errorf("got %s", got)
	}
}

func TestUnshowableDetail(t *testing.T) {
	s := well()
	s.Log.Details = map[string]any{"rate": math.Inf(1)}
	if rec := request(t, s, "GET", "/health"); rec.Code != http.StatusInternalServerError {
		t.Errorf("code %d: %s", rec.Code, rec.Body)
	}
}
