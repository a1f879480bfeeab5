package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memory is what a process has in memory, in bytes.
type memory struct {
	resident int64
	peak     int64 // of resident, since the process began
}

// readMemory asks the kernel, where it is one that answers: Linux.
func readMemory(pid int) (memory, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, false
	}
	return parseMemory(text)
}

// parseMemory reads a /proc/PID/status: proc_pid_status(5).
func parseMemory(status []byte) (m memory, ok bool) {
	read := func(line, name string, into *int64) {
		text, found := strings.CutPrefix(line, name+":")
		if !found {
			return
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 10, 64)
		if err == nil {
			*into = kib << 10
		}
	}
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		read(lines.Text(), "VmRSS", &m.resident)
		read(lines.Text(), "VmHWM", &m.peak)
	}
	return m, m.resident > 0 && m.peak > 0
}
