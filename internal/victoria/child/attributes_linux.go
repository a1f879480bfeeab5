package child

import "syscall"

// attributes puts the child into a group of its own and ties its life to that
// of the thread that starts it (prctl(2), PR_SET_PDEATHSIG).
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
