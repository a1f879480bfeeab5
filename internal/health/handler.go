package health

import (
	"encoding/json"
	"net/http"
)

// Register adds the three endpoints to mux, for GET and HEAD:
//
//	/health        the Report; 503 on error, else 200
//	/health/ready  200 if the status is ok, else 503
//	/health/live   200 as long as the process answers
//
// snapshot is called for each request, by many goroutines, and must not block:
// it returns what the parts have noted, it does not ask them.
func Register(mux *http.ServeMux, snapshot func() Snapshot) {
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		report := Evaluate(snapshot())
		answer(w, report.Status != Error, report)
	})
	mux.HandleFunc("GET /health/ready", func(w http.ResponseWriter, _ *http.Request) {
		report := Evaluate(snapshot())
		answer(w, report.Status == OK, shortAnswer{report.Status})
	})
	mux.HandleFunc("GET /health/live", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, true, shortAnswer{OK})
	})
}

type shortAnswer struct {
	Status Status `json:"status"`
}

func answer(w http.ResponseWriter, well bool, body any) {
	b, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		// A detail that JSON cannot show, such as an infinite number.
		http.Error(w, "encode health: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !well {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	// A client that is gone is not the agent's error.
	_, _ = w.Write(append(b, '\n'))
}
