package shipper

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// The cost is what goes over the wire, as far as HTTP/1.1 shows it.
func TestReceiverCountsItsCost(t *testing.T) {
	body := `{"status":"success","data":{"resultType":"vector","result":[]},"trace":"` + strings.Repeat("x", 100_000) + `"}`
	var read, written atomic.Int64
	server := httptest.NewUnstartedServer(zippedAnswer(jsonMedia, body, 0))
	server.Start()
	t.Cleanup(server.Close)
	client := readClient(t)
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &countedConn{conn, &read, &written}, err
	}
	r := readerAt(t, client, server.URL)
	for range 3 {
		if _, err := countBoat(t, r); err != nil {
			t.Fatal(err)
		}
	}
	for what, n := range map[string][2]int64{
		"sent":     {int64(r.sent.Load()), written.Load()},
		"received": {int64(r.received.Load()), read.Load()},
	} {
		if counted, real := n[0], n[1]; counted > real || counted < real*8/10 {
			t.Errorf("%s: %d bytes are counted of %d", what, counted, real)
		}
	}
	if r.requests.Load() != 3 || r.received.Load() > 10_000 {
		t.Errorf("%d requests, %d bytes", r.requests.Load(), r.received.Load())
	}
}

type countedConn struct {
	net.Conn
	read, written *atomic.Int64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// What is read only in part costs no connection, and neither does a refusal.
func TestReceiverKeepsItsConnection(t *testing.T) {
	var mu sync.Mutex
	conns := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics":
			zippedAnswer(textMedia, storageMetric+"5\n"+startMetric+"1780000000\n"+strings.Repeat("flag{} 1\n", 30_000), 0)(w, r)
		case "/flags":
			says(401, textMedia, strings.Repeat("x", 20_000))(w, r)
		case "/api/v1/query":
			zippedAnswer(jsonMedia, oneCount, 0)(w, r)
		case "/api/v1/export":
			says(200, streamMedia, oneLine)(w, r)
		}
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if state == http.StateNew {
			conns++
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	r := readerAt(t, readClient(t), server.URL)
	for range 3 {
		start, err := r.started(t.Context())
		if start != "1780000000" || err != nil {
			t.Errorf("started is %q, %v", start, err)
		}
		if p, err := r.properties(t.Context()); p.Known || err != nil {
			t.Errorf("properties are %+v, %v", p, err)
		}
		if found, err := countBoat(t, r); len(found) != 1 || err != nil {
			t.Errorf("counts are %v, %v", found, err)
		}
		if found, err := gatherTimes(t, r, ofBoat, fromMS, toMS); len(found) != 1 || err != nil {
			t.Errorf("times are %v, %v", found, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if conns != 1 {
		t.Errorf("%d connections", conns)
	}
}

// A kept connection that the other side has closed meanwhile is no failure.
func TestReceiverOutlivesItsConnection(t *testing.T) {
	server := httptest.NewServer(zippedAnswer(jsonMedia, oneCount, 0))
	t.Cleanup(server.Close)
	r := readerAt(t, readClient(t), server.URL)
	for range 200 {
		if _, err := countBoat(t, r); err != nil {
			t.Fatal(err)
		}
		server.CloseClientConnections()
	}
}
