package victoria

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func TestOnceWritesOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache", "program")
	var writes atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := once(t.Context(), path, func(to string) error {
				writes.Add(1)
				return os.WriteFile(to, []byte("whole"), 0o755)
			})
			if err != nil {
				t.Error(err)
			}
			if text, err := os.ReadFile(path); err != nil || string(text) != "whole" {
				t.Errorf("read %q (%v)", text, err)
			}
		})
	}
	wg.Wait()
	if n := writes.Load(); n != 1 {
		t.Errorf("the program was written %d times", n)
	}
}

func TestOnceTakesNoHalfForAWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	cut := errors.New("cut short")
	err := once(t.Context(), path, func(to string) error {
		return errors.Join(os.WriteFile(to, []byte("ha"), 0o755), cut)
	})
	if !errors.Is(err, cut) {
		t.Fatalf("once returned %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the half-written program is there (%v)", err)
	}
	err = once(t.Context(), path, func(to string) error {
		if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what was cut short is still there (%v)", err)
		}
		return os.WriteFile(to, []byte("whole"), 0o755)
	})
	if text, _ := os.ReadFile(path); err != nil || string(text) != "whole" {
		t.Errorf("then there is %q (%v)", text, err)
	}
}

func TestOnceGivesUpWhenTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	unlock, err := lock(t.Context(), path+".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = once(ctx, path, func(string) error { return errors.New("written beside another writer") })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("once returned %v", err)
	}
}

func TestBuildKnowsItsTools(t *testing.T) {
	if path, err := Build(t.Context(), "vmalert"); err == nil {
		t.Errorf("got %s", path)
	}
}

func TestRootHoldsThisPackage(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "internal", "victoria", "build_test.go")); err != nil {
		t.Error(err)
	}
}
