"""fanoutd in a scratch directory, and fanoutctl speaking to it."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from harness.http import Api
from harness.process import BUILD, SANITIZER, alive, children, environment, spawn, wait_until


def libconfig(value):
    """A Python value as libconfig writes it: dict → group, list of scalars → array, list with dicts → list."""
    if isinstance(value, dict):
        return "{ " + " ".join(f"{k} = {libconfig(v)};" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(libconfig(v) for v in value)
        return f"({inner})" if any(isinstance(v, (dict, list, tuple)) for v in value) else f"[{inner}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class Scratch:
    """A directory with a short name: a Unix socket's path has 107 bytes at most, pytest's tmp_path may be longer."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="fo-", dir="/tmp"))
        self.path.chmod(0o755)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Result:
    """How a program ended and what it said."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def json(self):
        return json.loads(self.out)

    def rows(self):
        """Standard output as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines() if line]

    def lines(self):
        return self.out.splitlines()

    def __repr__(self):
        return f"$ {' '.join(self.argv)}\nexit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def run(argv, input=None, check=0, timeout=60, env=None, **options):
    """Runs a program to its end. `check` is the expected exit code, None for any. Nothing may be left of sanitizers."""
    argv = [str(a) for a in argv]
    if isinstance(input, str):
        input = input.encode()
    options.setdefault("stdin", subprocess.DEVNULL if input is None else subprocess.PIPE)
    child = spawn(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    try:
        out, err = child.communicate(input, timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        raise AssertionError(f"no end within {timeout} s: {Result(argv, None, out, err)}") from None
    result = Result(argv, child.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
    assert not SANITIZER.search(err), result
    assert check is None or result.code == check, f"expected exit {check}\n{result}"
    return result


class Daemon:
    """One fanoutd: a directory, a configuration, and at most one process at a time.

    `config` replaces or adds keys of fanout.conf; None leaves a key out. The log of all its processes is one file.
    """

    def __init__(self, config=None, env=None):
        self.scratch = Scratch()
        self.dir = self.scratch.path
        self.socket = self.dir / "s"
        self.state = self.dir / "state"
        self.log_path = self.dir / "fanoutd.log"
        self.conf_path = self.dir / "fanout.conf"
        self.env = env or {}
        self.program = BUILD / "fanoutd"
        self.process = None
        self.may_end = False  # the test asked for it
        self.config = {
            "socket": self.socket,
            "state_dir": self.state,
            "workers": 2,
            "pulls_dir": self.dir / "pulls.d",
            "secrets_dir": self.dir / "secrets",
        }
        self.configure(**(config or {}))
        for name in ("pulls.d", "secrets", "state"):
            (self.dir / name).mkdir()
        self.state.chmod(0o700)
        self.api = Api(self.socket)

    def configure(self, **config):
        """Changes and writes the configuration; the next start() or SIGHUP reads it."""
        self.config.update(config)
        lines = [f"{k} = {libconfig(v)};\n" for k, v in self.config.items() if v is not None]
        self.conf_path.write_text("".join(lines))

    # ---- Life ----

    def spawn(self, *args, program=None, **options):
        """Starts the process and does not wait for it."""
        assert not self.running(), "this daemon is running already"
        self.may_end = False
        with open(self.log_path, "ab") as log:
            self.process = spawn(
                [*(program or [self.program]), "-c", self.conf_path, *args],
                env=environment(**self.env),
                stdout=log,
                stderr=log,
                cwd=self.dir,
                **{"stdin": subprocess.DEVNULL, **options},
            )
        return self

    def spawn_on(self, listening):
        """Starts the process with that socket, as systemd does, and does not wait for it."""
        return self.spawn(
            program=["/bin/sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&0 </dev/null', "sh", self.program],
            stdin=listening,
        )

    def start(self, timeout=20):
        """Starts the process and waits until it answers."""
        self.spawn()
        wait_until(self.ready, timeout, "fanoutd answers /healthz")
        return self

    def ready(self):
        assert self.running(), f"fanoutd ended with {self.process.poll()} at its start:\n{self.log()[-3000:]}"
        try:
            return self.api.get("/healthz").status == 200
        except OSError:
            return False

    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def kill(self, sig=signal.SIGKILL, timeout=20):
        """Sends a signal; after SIGKILL also waits until the process and its workers are gone."""
        workers = self.workers()
        self.may_end = True
        self.process.send_signal(sig)
        if sig == signal.SIGKILL:
            self.process.wait(timeout)
            wait_until(lambda: not any(alive(w) for w in workers), timeout, "workers end with their daemon")

    def wait(self, timeout=20):
        """Waits for the process to end; its exit code."""
        self.may_end = True
        return self.process.wait(timeout)

    def stop(self, timeout=30):
        """SIGTERM, and the end must be a clean one."""
        if self.running():
            self.may_end = True
            self.process.terminate()
            code = self.process.wait(timeout)
            assert code == 0, f"fanoutd ended with {code} after SIGTERM:\n{self.log()[-3000:]}"
        self.assert_sane()

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        """Ends whatever there is and removes the directory; fails where it did not end well."""
        try:
            if self.running():
                try:
                    self.stop()
                finally:
                    if self.running():
                        self.kill()
            elif self.process is not None and not self.may_end:
                raise AssertionError(f"fanoutd ended with {self.process.returncode} and nobody asked it to:\n{self.log()[-3000:]}")
            self.assert_sane()
        finally:
            self.scratch.remove()

    # ---- What it is doing ----

    def workers(self):
        """The pids of its worker processes."""
        return [p for p in children(self.pid) if comm(p) == "fanout-worker"] if self.running() else []

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def assert_sane(self):
        """No sanitizer of the daemon or of a worker has spoken."""
        assert not SANITIZER.search(self.log().encode()), self.log()[-6000:]

    def ctl(self, *args, input=None, check=0, timeout=60, env=None, **options):
        """Runs fanoutctl against this daemon. `user=`, `group=` as for subprocess.Popen."""
        argv = [BUILD / "fanoutctl", "-S", self.socket, *args]
        return run(argv, input, check, timeout, environment(HOME=str(self.dir), **(env or {})), cwd=self.dir, **options)


def comm(pid):
    """A process's name as the kernel has it (15 characters); the program's, once it has run execve()."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
    except OSError:
        return ""


def private_daemons(env):
    """The daemons whose environment is this one; not their children, which are copies of them until they run a worker's program."""
    wanted = f"HOME={env['HOME']}".encode()
    found = {}
    for proc in pathlib.Path("/proc").iterdir():
        try:
            if proc.name.isdigit() and os.path.basename(os.readlink(proc / "exe")) == "fanoutd":
                if wanted in (proc / "environ").read_bytes().split(b"\0"):
                    found[int(proc.name)] = int((proc / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            pass
    return [pid for pid, parent in found.items() if parent not in found]
