"""Child processes that do not outlive the tests, and waiting for conditions."""

import ctypes
import fcntl
import os
import pathlib
import pty
import re
import signal
import struct
import subprocess
import termios
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = (ROOT / os.environ.get("FANOUT_BUILD", "build")).resolve()

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

# Time limits are what takes long on an idle machine; a loaded one, or a sanitizer, is given so many times as much. Whoever
# waits in vain waits longer, nobody else does. What a program does in time is not shown by such a limit, but by a condition.
PATIENCE = 8

# One line of any of the sanitizers' reports.
SANITIZER = re.compile(rb"ERROR: (Address|Leak|Undefined)\w*Sanitizer|runtime error:|AddressSanitizer:DEADLYSIGNAL")


def environment(**extra):
    """The environment of every child: no proxy, no socket or configuration of the person who runs the tests."""
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith(("XDG_", "FANOUT_"))}
    env.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.update(LC_ALL="C.UTF-8", **extra)
    return env


class Child(subprocess.Popen):
    """Its time limits are stretched by PATIENCE."""

    def wait(self, timeout=None):
        return super().wait(timeout and timeout * PATIENCE)

    def communicate(self, input=None, timeout=None):
        return super().communicate(input, timeout and timeout * PATIENCE)

    def stays(self, seconds):
        """Whether it is still there after so long."""
        try:
            super().wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False


def spawn(argv, env=None, **options):
    """Starts a child that gets SIGKILL when the tests end, however they end. Its pipes have no buffers here: communicate() would
    not see what a readline() before it has read ahead."""
    options.setdefault("bufsize", 0)

    def die_with_parent():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return Child([str(a) for a in argv], env=env or environment(), preexec_fn=die_with_parent, **options)


def wait_until(condition, timeout=10, what=None):
    """Returns the first true value of condition(), or fails after `timeout` seconds, stretched by PATIENCE."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout * PATIENCE} s: {what or getattr(condition, '__doc__', None) or condition}")
        time.sleep(0.005)


def alive(pid):
    """True while the process exists and is no zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid):
    """The pids of a process's children."""
    found = []
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            found += [int(p) for p in (task / "children").read_text().split()]
    except OSError:
        pass
    return [p for p in found if alive(p)]


def memory_kib(pid, field="VmRSS"):
    """VmRSS, VmHWM, ... of a process in KiB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise AssertionError(f"/proc/{pid}/status has no {field}")


def sanitized():
    """True when the programs under test were built with a sanitizer (they are slower and larger then)."""
    return b"__asan_init" in (BUILD / "fanoutd").read_bytes()


def on_terminal(argv, columns=100, env=None, seen=None, then=None):
    """Runs a program on a terminal of its own; what it showed, and its exit status. then() is called once `seen` (bytes) is shown."""
    fd, terminal = pty.openpty()
    # The size is there before the program is.
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = spawn(argv, env or environment(TERM="xterm"), stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    out = b""
    try:
        while True:
            try:
                piece = os.read(fd, 65536)
            except OSError:  # the program has ended
                break
            out += piece
            if then and seen in out:
                then()
                then = None
    finally:
        os.close(fd)
        status = child.wait(30)
    return out.decode(errors="replace"), status
