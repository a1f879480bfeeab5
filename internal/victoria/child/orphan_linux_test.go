package child

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestChildDiesWithItsParent(t *testing.T) {
	p := start(t, "parent")
	<-p.Done()
	var pid int
	if _, err := fmt.Sscanf(p.Output(), "grandchild %d", &pid); err != nil {
		t.Fatalf("the parent printed %q: %v", p.Output(), err)
	}
	// A zombie that its new parent has not waited for yet is as good as gone.
	eventually(t, "the grandchild is gone", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}
