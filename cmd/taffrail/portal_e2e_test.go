package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"taffrail/internal/event"
)

// portal stands between daemon and receiver, and shows its login page instead of
// passing anything on while it is closed.
type portal struct {
	url    string
	answer atomic.Pointer[http.HandlerFunc] // nil: open
	shown  atomic.Int64
}

func startPortal(t *testing.T, receiver string) *portal {
	t.Helper()
	to, err := url.Parse(receiver)
	if err != nil {
		t.Fatal(err)
	}
	p := &portal{}
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := p.answer.Load()
		if answer == nil {
			proxy.ServeHTTP(w, r)
			return
		}
		p.shown.Add(1)
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		(*answer)(w, r)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *portal) show(answer http.HandlerFunc) { p.answer.Store(&answer) }

func (p *portal) open() { p.answer.Store(nil) }

func login(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<!DOCTYPE html><title>Log in</title>")
}

// redirect leads to the login page, where a client that follows gets a 200.
func redirect(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/login" {
		login(w, r)
		return
	}
	http.Redirect(w, r, "/login", http.StatusFound)
}

// TestE2E_CaptivePortalMarksNothing puts both kinds of portal in the daemon's way:
// nothing counts as uploaded, health says what is wrong, and all is at the
// receiver once the portal is gone.
func TestE2E_CaptivePortalMarksNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), e2eBound)
	defer cancel()
	receiver := startReceiver(t, ctx)
	way := startPortal(t, receiver.URL)
	way.show(redirect)
	d := startDaemon(t, buildDaemon(t, ctx), way.url)
	for _, kind := range []struct {
		name, reason string
		answer       http.HandlerFunc
	}{{"a redirect", "redirect", redirect}, {"a page", "captive portal", login}} {
		way.show(kind.answer)
		before := way.shown.Load()
		d.await(t, ctx, "the portal was met and is the reason in health", func() bool {
			u := d.health(t, ctx).Components["uploader"]
			return way.shown.Load() > before+3 && u.Status != "ok" && strings.Contains(u.Message, kind.reason)
		})
		if u := d.health(t, ctx).Components["uploader"]; u.Details.Acknowledged != 0 || u.Details.Appended == 0 {
			t.Errorf("%s: %d of %d samples are marked", kind.name, u.Details.Acknowledged, u.Details.Appended)
		}
	}
	ledger := foldLedger(t, d.stateDir)
	if ledger.Sent+ledger.Rejected+ledger.Dropped != 0 {
		t.Errorf("behind the portal %d samples are sent, %d rejected", ledger.Sent, ledger.Rejected)
	}
	way.open()
	d.await(t, ctx, "what waited is acknowledged", func() bool {
		u := d.health(t, ctx).Components["uploader"]
		return u.Details.Acknowledged >= ledger.Appended && u.Status == "ok"
	})
	if err := d.process.Stop(30 * time.Second); err != nil {
		t.Fatalf("stop: %s\n%s", err, d.process.Output())
	}
	compareAll(t, ctx, d, receiver)
	checkEnds(t, d.stateDir, event.EndCompleted)
}
