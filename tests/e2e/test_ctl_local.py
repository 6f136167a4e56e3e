"""fanoutctl --local: a private daemon, started where none runs."""

import contextlib
import os
import pathlib
import signal
import subprocess

import pytest

from harness.daemon import run
from harness.process import BUILD, alive, environment, spawn, wait_until


@pytest.fixture
def home(scratch):
    """A user's environment, and the end of the private daemon that was started in it."""
    for name in ("run", "home"):
        (scratch / name).mkdir(mode=0o700)
    env = {"XDG_RUNTIME_DIR": str(scratch / "run"), "HOME": str(scratch / "home")}
    yield env
    for pid in daemons(env):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not alive(pid), 20, "the private daemon ends")


def daemons(env):
    """The daemons whose environment is this one."""
    wanted = f"XDG_RUNTIME_DIR={env['XDG_RUNTIME_DIR']}".encode()
    found = []
    for proc in pathlib.Path("/proc").iterdir():
        try:
            if proc.name.isdigit() and os.path.basename(os.readlink(proc / "exe")) == "fanoutd":
                if wanted in (proc / "environ").read_bytes().split(b"\0"):
                    found.append(int(proc.name))
        except OSError:
            pass
    return found


def local(env, *args, **options):
    return run([BUILD / "fanoutctl", "--local", *args], env=environment(**env), **options)


def test_a_private_daemon_is_started_once_and_found_again(home, apisim):
    assert local(home, "submit", "--wait", apisim.url + "/uuid").out == "1\n"
    first = daemons(home)
    assert len(first) == 1
    assert len(local(home, "status", "-f", "json").json()) == 1
    assert daemons(home) == first
    # Without --local: the user's own socket comes before the system's.
    r = run([BUILD / "fanoutctl", "status", "-f", "json"], env=environment(**home))
    assert len(r.json()) == 1


def test_many_clients_at_once_start_one(home):
    children = [
        spawn([BUILD / "fanoutctl", "--local", "status"], env=environment(**home), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(8)
    ]
    ended = [(c.communicate(timeout=30), c.returncode) for c in children]
    assert [code for _, code in ended] == [0] * 8, ended
    assert len(daemons(home)) == 1


def test_it_holds_none_of_the_callers_descriptors(home):
    """A shell's $(...) would wait for ever for a daemon that keeps its pipe."""
    r = subprocess.run(["sh", "-c", f"out=$({BUILD}/fanoutctl --local status 2>&1); echo done"], env=environment(**home), timeout=30, capture_output=True)
    assert r.stdout == b"done\n"
    (pid,) = daemons(home)
    assert os.getsid(pid) != os.getsid(0)


def test_only_its_user_may_enter(home):
    local(home, "status")
    runtime = pathlib.Path(home["XDG_RUNTIME_DIR"]) / "fanout"
    assert runtime.stat().st_mode & 0o777 == 0o700
    (socket,) = [p for p in runtime.iterdir() if p.is_socket()]
    assert socket.stat().st_mode & 0o077 == 0


def test_a_daemon_that_cannot_start_is_told_with_its_log(home):
    state = pathlib.Path(home["HOME"]) / ".local/state/fanout"
    state.mkdir(parents=True, mode=0o700)
    (state / "fanout.db").write_text("this is no database, whatever its name says" * 50)
    r = local(home, "status", check=3, timeout=20)
    assert "the private daemon did not start" in r.err
    assert "its log ends with:" in r.err and "fanoutd: " in r.err


def test_a_runtime_directory_of_somebody_else_is_not_used(home):
    runtime = pathlib.Path(home["XDG_RUNTIME_DIR"]) / "fanout"
    runtime.mkdir(mode=0o777)
    runtime.chmod(0o777)
    r = local(home, "status", check=5)
    assert "belongs to you alone" in r.err
    assert daemons(home) == []


def test_local_and_a_socket_exclude_each_other(home):
    assert "leave --socket away" in local(home, "-S", "/x", "status", check=2).err
