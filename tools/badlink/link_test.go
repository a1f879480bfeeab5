package badlink

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPassesOnWhatNoModeTakes(t *testing.T) {
	r := newReceiver(t)
	var seen *Request
	l := startLink(t, Options{Target: r.URL, OnImport: func(req *Request) { seen = req }})
	c := newClient(t, l, testBound)
	text := jsonl(3)

	a := c.must(204)(c.upload("b1", 2, text))
	if a.header.Get("X-Receiver") != "yes" {
		t.Errorf("the receiver's headers are missing: %v", a.header)
	}
	c.must(204)(c.do(http.MethodGet, "/api/v1/query?query=up&nocache=1", nil, nil))

	all := r.all()
	if len(all) != 2 || !bytes.Equal(all[0].body, zipped(text)) || all[0].header.Get(batchHeader) != "b1" {
		t.Errorf("the receiver got %+v", all)
	}
	if all[1].path != "/api/v1/query" || all[1].query != "query=up&nocache=1" {
		t.Errorf("the receiver was asked for %s?%s", all[1].path, all[1].query)
	}
	imports := l.Imports()
	if len(imports) != 1 || seen == nil {
		t.Fatalf("recorded %+v, and seen %v", imports, seen)
	}
	i := imports[0]
	if i.Batch != "b1" || i.Chunk != 2 || i.LinesHeader != "3" || i.Lines != 3 || !i.Whole ||
		i.SHA256 != sha256.Sum256([]byte(text)) || i.Bytes != len(zipped(text)) || i.JSONLBytes != len(text) {
		t.Errorf("recorded %+v", i)
	}
	if i.Fate != "" || i.Status != 204 || i.Stored != 204 || i.Delivered.IsZero() || i.At.After(i.Delivered) {
		t.Errorf("recorded %+v", i)
	}
	if string(seen.JSONL) != text {
		t.Errorf("seen %q", seen.JSONL)
	}
	counts := l.Counts()
	if counts["/api/v1/import"] != (Count{Requests: 1, BytesUp: int64(i.Bytes)}) || counts["/api/v1/query"].Requests != 1 {
		t.Errorf("counted %v", counts)
	}
	if traffic := l.Traffic(); traffic.Up <= int64(i.Bytes) || traffic.Down == 0 || traffic.Connections != 1 || traffic.Contact.IsZero() {
		t.Errorf("carried %+v", traffic)
	}
}

func TestAnswersByItselfWithoutAReceiver(t *testing.T) {
	l := startLink(t, Options{})
	c := newClient(t, l, testBound)
	c.must(204)(c.upload("b", 0, jsonl(1)))
	c.must(404)(c.do(http.MethodGet, "/api/v1/query", nil, nil))
	c.must(204)(c.do(http.MethodPost, "/insert/0/prometheus/api/v1/import", nil, []byte(jsonl(1))))
	if n := len(l.Imports()); n != 2 {
		t.Errorf("recorded %d imports", n)
	}
}

func TestReceiverThatIsAwayGivesNoAnswer(t *testing.T) {
	r := newReceiver(t)
	r.Close()
	l := startLink(t, Options{Target: r.URL})
	c := newClient(t, l, testBound)
	if a, err := c.upload("b", 0, jsonl(1)); err == nil {
		t.Errorf("answered %+v", a)
	}
	if i := l.Imports()[0]; i.Status != 0 || i.Stored != 0 || !i.Delivered.IsZero() {
		t.Errorf("recorded %+v", i)
	}
}

func TestDownBreaksOldAndNewConnections(t *testing.T) {
	for name, down := range map[string]State{"refusing": Refusing, "breaking": Breaking} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			l := startLink(t, Options{Target: r.URL})
			c := newClient(t, l, testBound)
			c.must(204)(c.upload("b", 0, jsonl(1)))
			first := l.Traffic().Contact
			set(t, l, down)
			for n := range 2 {
				a, err := c.upload("b", 1, jsonl(1))
				if err == nil {
					t.Errorf("answered %+v", a)
				}
				// The first may still go over the old connection.
				if refused := errors.Is(err, syscall.ECONNREFUSED); n > 0 && refused != (down == Refusing) {
					t.Errorf("the client got %v", err)
				}
			}
			set(t, l, Up)
			if at := l.Traffic().Contact; !at.IsZero() {
				t.Errorf("contact at %v before anything was sent", at)
			}
			c.must(204)(c.upload("b", 2, jsonl(1)))
			if at := l.Traffic().Contact; !at.After(first) {
				t.Errorf("contact at %v, the one before at %v", at, first)
			}
			if len(r.all()) != 2 {
				t.Errorf("the receiver got %d requests", len(r.all()))
			}
		})
	}
}

func TestCloseWhileDown(t *testing.T) {
	for _, down := range []State{Refusing, Breaking, Dark} {
		l := startLink(t, Options{})
		set(t, l, down)
		if err := l.Close(); err != nil {
			t.Errorf("state %d: %v", down, err)
		}
	}
}

// A port that was taken meanwhile is told of.
func TestUpWithoutItsPort(t *testing.T) {
	l := startLink(t, Options{})
	set(t, l, Refusing)
	other, err := net.Listen("tcp", strings.TrimPrefix(l.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.SetState(Up); err == nil {
		t.Error("the link is up beside another listener")
	}
	_ = other.Close()
	set(t, l, Up)
	c := newClient(t, l, testBound)
	c.must(204)(c.upload("b", 0, jsonl(1)))
}

func TestDarkHoldsBytesBack(t *testing.T) {
	r := newReceiver(t)
	l := startLink(t, Options{Target: r.URL})
	impatient, patient := newClient(t, l, 50*time.Millisecond), newClient(t, l, testBound)
	set(t, l, Dark)
	var timeout interface{ Timeout() bool }
	if _, err := impatient.upload("b", 0, jsonl(1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("in the dark: %v", err)
	}
	answered := make(chan error)
	go func() {
		_, err := patient.upload("b", 1, jsonl(1))
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("answered in the dark: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	set(t, l, Up)
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestWindowsOpenAndClose(t *testing.T) {
	r := newReceiver(t)
	l := startLink(t, Options{Target: r.URL})
	c := newClient(t, l, testBound)
	l.SetWindows(Refusing, 30*time.Millisecond, 30*time.Millisecond)
	answered, broken := 0, 0
	for deadline := time.Now().Add(testBound); (answered == 0 || broken == 0) && time.Now().Before(deadline); {
		if _, err := c.upload("b", answered, jsonl(1)); err == nil {
			answered++
		} else {
			broken++
		}
	}
	if answered == 0 || broken == 0 {
		t.Errorf("%d answered, %d broken", answered, broken)
	}
	set(t, l, Up)
	c.must(204)(c.upload("b", answered, jsonl(1)))
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	r := newReceiver(t)
	l := startLink(t, Options{Target: r.URL})
	c := newClient(t, l, testBound)
	late := newClient(t, l, 20*time.Millisecond)
	l.Set(Imports(Times(1, Late(time.Hour))), Silent())
	if _, err := late.upload("b", 0, jsonl(1)); err == nil {
		t.Error("a late body was answered")
	}
	held := make(chan error)
	go func() {
		_, err := c.do(http.MethodGet, "/metrics", nil, nil)
		held <- err
	}()
	for deadline := time.Now().Add(testBound); l.Counts()["/metrics"].Requests == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the request did not come in")
		}
	}
	l.SetWindows(Dark, time.Hour, time.Hour)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-held; err == nil {
		t.Error("the client that was kept waiting got an answer")
	}
	if err := l.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	if len(r.all()) != 0 {
		t.Errorf("the receiver got %+v", r.all())
	}
}

func TestStartRefusesBadOptions(t *testing.T) {
	for _, opts := range []Options{{Target: "nowhere"}, {Target: "http://%"}, {Address: "127.0.0.1:none"}, {Plain: true}, {Plain: true, Target: "http://127.0.0.1"}} {
		if l, err := Start(opts); err == nil {
			t.Errorf("%+v: started", opts)
			_ = l.Close()
		}
	}
}
