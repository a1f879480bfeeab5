package badlink

import (
	"bytes"
	"net/http"
	"testing"
	"time"
)

func TestPlainLinkCarriesBytes(t *testing.T) {
	r := newReceiver(t)
	l := startLink(t, Options{Target: r.URL, Plain: true})
	c := newClient(t, l, testBound)
	l.Set(Reset()) // there are no modes
	body := bytes.Repeat([]byte("x"), 50_000)
	send := func() error {
		_, err := c.do(http.MethodPost, "/api/v1/import", nil, body)
		return err
	}
	for range 2 {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	if all := r.all(); len(all) != 2 || !bytes.Equal(all[1].body, body) {
		t.Errorf("the receiver got %d requests", len(all))
	}
	traffic := l.Traffic()
	if traffic.Up < 100_000 || traffic.Down == 0 || traffic.Connections != 1 || traffic.Last.Before(traffic.Contact) {
		t.Errorf("carried %+v", traffic)
	}

	l.SetBandwidth(200_000, 0)
	began := time.Now()
	if err := send(); err != nil || time.Since(began) < 190*time.Millisecond {
		t.Errorf("50 kB at 200 kB/s took %v (%v)", time.Since(began), err)
	}
	l.SetBandwidth(0, 0)
	set(t, l, Refusing)
	if err := send(); err == nil {
		t.Error("answered while the link was down")
	}
	set(t, l, Up)
	if err := send(); err != nil {
		t.Error(err)
	}
	l.SetCuts(10_000)
	if err := send(); err == nil {
		t.Error("answered over a connection that was cut")
	}
	l.SetCuts(0)
	r.Close()
	if err := send(); err == nil {
		t.Error("answered without a receiver")
	}
}
