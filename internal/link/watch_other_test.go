//go:build !linux

package link

import (
	"errors"
	"testing"
)

func TestWatchIsUnsupported(t *testing.T) {
	if err := Watch(t.Context(), func() {}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error %v", err)
	}
}
