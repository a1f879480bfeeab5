//go:build !linux

package link

import (
	"context"
	"errors"
	"fmt"
)

func watch(context.Context, func()) error {
	return fmt.Errorf("watch links: %w", errors.ErrUnsupported)
}
