package lockfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// holdVariable makes a second process of the test binary: it holds the
// directory that the variable names until its standard input ends.
const holdVariable = "LOCKFILE_TEST_HOLD"

func TestMain(m *testing.M) {
	dir := os.Getenv(holdVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	lock, err := Acquire(dir)
	fmt.Println(err)
	if err != nil {
		os.Exit(1)
	}
	// The test ends the process by closing its input, or by killing it.
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		os.Exit(1)
	}
	if err := lock.Release(); err != nil {
		os.Exit(1)
	}
}

type process struct {
	*exec.Cmd
	stdin  io.Closer
	answer string // what Acquire returned there
}

func hold(t *testing.T, dir string) process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), holdVariable+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return process{cmd, stdin, strings.TrimSpace(answer)}
}

func content(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, Name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantHolder(t *testing.T, dir string, want int) {
	t.Helper()
	if pid, err := Holder(dir); err != nil || pid != want {
		t.Errorf("Holder(%s) = %d, %v, want %d", dir, pid, err, want)
	}
}

// tempDir is a directory by its real path, and by a symlink to it.
func tempDir(t *testing.T) (dir, link string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	link = filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	return dir, link
}

func TestAcquireRelease(t *testing.T) {
	dir, link := tempDir(t)
	wantHolder(t, dir, 0)
	var inode os.FileInfo
	for i, path := range []string{dir, link, dir} {
		lock, err := Acquire(path)
		if err != nil {
			t.Fatal(err)
		}
		if lock.Dir() != dir {
			t.Errorf("Dir() = %s, want %s", lock.Dir(), dir)
		}
		if got := content(t, dir); got != strconv.Itoa(os.Getpid())+"\n" {
			t.Errorf("held, the file holds %q", got)
		}
		wantHolder(t, link, os.Getpid())
		info, err := os.Stat(filepath.Join(dir, Name))
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && !os.SameFile(info, inode) {
			t.Error("the lock is another inode than before")
		}
		inode = info
		for range 2 {
			if err := lock.Release(); err != nil {
				t.Errorf("Release: %v", err)
			}
		}
		if got := content(t, dir); got != "" {
			t.Errorf("released, the file holds %q", got)
		}
		wantHolder(t, dir, 0)
	}
}

func TestSecondAcquireRefused(t *testing.T) {
	dir, link := tempDir(t)
	lock, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%s is in use by process %d; stop it or choose another --state-dir", dir, os.Getpid())
	for _, path := range []string{dir, link} {
		_, err := Acquire(path)
		held, ok := errors.AsType[*HeldError](err)
		if !ok || held.Path != dir || held.PID != os.Getpid() || err.Error() != want {
			t.Errorf("Acquire(%s) = %v", path, err)
		}
		if p := hold(t, path); p.answer != want || p.Wait() == nil {
			t.Errorf("a second process got %s", p.answer)
		}
	}
	if got := content(t, dir); got != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("after the refusals the file holds %q", got)
	}
	// A holder that could not leave its pid still holds.
	if err := os.Truncate(filepath.Join(dir, Name), 0); err != nil {
		t.Fatal(err)
	}
	_, err = Acquire(dir)
	if err == nil || err.Error() != dir+" is in use by another process; stop it or choose another --state-dir" {
		t.Errorf("Acquire = %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestOtherProcessHolds(t *testing.T) {
	dir, link := tempDir(t)
	for _, kill := range []bool{false, true} {
		p := hold(t, link)
		if p.answer != "<nil>" {
			t.Fatalf("the second process got %s", p.answer)
		}
		wantHolder(t, dir, p.Process.Pid)
		_, err := Acquire(dir)
		if held, ok := errors.AsType[*HeldError](err); !ok || held.PID != p.Process.Pid {
			t.Errorf("Acquire = %v, want the pid %d", err, p.Process.Pid)
		}
		if kill {
			if err := p.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(); err == nil {
				t.Error("a killed process ended well")
			}
			if alive(p.Process.Pid) {
				t.Error("it is taken for alive")
			}
			if got := content(t, dir); got != strconv.Itoa(p.Process.Pid)+"\n" {
				t.Errorf("killed, it left %q", got)
			}
		} else {
			if err := p.stdin.Close(); err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(); err != nil {
				t.Fatal(err)
			}
		}
		wantHolder(t, dir, 0)
		lock, err := Acquire(dir)
		if err != nil {
			t.Fatalf("after the other ended (killed: %v): %v", kill, err)
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	}
}

func TestForeignContent(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for name, before := range map[string]string{
		"empty":          "",
		"blank":          " \n\t\n",
		"malformed":      "pid: twelve",
		"zero":           "0",
		"negative":       "-1",
		"too large":      "99999999999999999999",
		"binary":         "\x00\xff\x00",
		"huge":           strings.Repeat("1", 5<<20),
		"padded":         strings.Repeat(" ", 100) + "1",
		"own, left over": self, // the pid was reused: by this very process
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := tempDir(t)
			path := filepath.Join(dir, Name)
			if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
			inode, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if name != "own, left over" || hasLockList() {
				wantHolder(t, dir, 0)
			}
			lock, err := Acquire(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := content(t, dir); got != self+"\n" {
				t.Errorf("held, the file holds %q", got)
			}
			if err := lock.Release(); err != nil {
				t.Error(err)
			}
			after, err := os.Stat(path)
			if err != nil || !os.SameFile(inode, after) {
				t.Errorf("the file is another one: %v", err)
			}
		})
	}
}

func TestReadPID(t *testing.T) {
	path := filepath.Join(t.TempDir(), Name)
	for content, want := range map[string]int{
		"1234":                         1234,
		" 1234\n\n":                    1234,
		"1234 taffrail":                0,
		"2147483648":                   0,
		"-5":                           0,
		"7" + strings.Repeat(" ", 63):  7,
		"7" + strings.Repeat(" ", 64):  0,
		"7" + strings.Repeat("\n", 99): 0,
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if pid, err := readPID(path); err != nil || pid != want {
			t.Errorf("readPID of %q = %d, %v, want %d", content, pid, err, want)
		}
	}
	if !alive(os.Getpid()) || !alive(1) {
		t.Error("this process, or the first, is not taken for alive")
	}
}

func hasLockList() bool {
	_, err := os.Stat("/proc/locks")
	return err == nil
}

func TestInLocks(t *testing.T) {
	locks := "1: FLOCK  ADVISORY  WRITE 1234 fe:00:9978 0 EOF\n" +
		"2: POSIX  ADVISORY  READ 77 fe:00:5 0 EOF\n" +
		"3: -> FLOCK  ADVISORY  WRITE 99 fe:00:9978 0 EOF\n" +
		"4: OFDLCK ADVISORY\n\n"
	for _, tt := range []struct {
		pid   int
		inode uint64
		want  bool
	}{{1234, 9978, true}, {1234, 978, false}, {123, 9978, false}, {77, 5, false}, {99, 9978, false}} {
		if got := inLocks(locks, tt.pid, tt.inode); got != tt.want {
			t.Errorf("inLocks(%d, %d) = %v", tt.pid, tt.inode, got)
		}
	}
}

func TestAcquireErrors(t *testing.T) {
	dir, _ := tempDir(t)
	_, err := Acquire(filepath.Join(dir, "missing"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	if _, err := Holder(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, Name), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(dir); err == nil {
		t.Error("a directory was locked")
	}
	if _, err := Holder(dir); err == nil {
		t.Error("a directory has a holder")
	}
}
