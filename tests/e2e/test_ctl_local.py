"""fanoutctl --local: a private daemon, started where none runs."""

import json
import os
import pathlib
import re
import signal
import subprocess
import threading

import pytest

from harness.daemon import private_daemons, run
from harness.process import BUILD, alive, environment, spawn, wait_until


def local(env, *args, **options):
    return run([BUILD / "fanoutctl", "--local", *args], env=environment(**env), **options)


def bare(env, *args, **options):
    """Without --local, -S or FANOUT_SOCKET."""
    return run([BUILD / "fanoutctl", *args], env=environment(**env), **options)


def without(env, name):
    """The same user from a session in which a variable is not set."""
    return {k: v for k, v in env.items() if k != name}


def state_of(env):
    return pathlib.Path(env["HOME"]) / ".local/state/fanout"


no_system_daemon = pytest.mark.skipif(os.path.exists("/run/fanout/fanout.sock"), reason="the system has a daemon")


def test_a_private_daemon_is_started_once_and_found_again(home, apisim):
    assert local(home, "submit", "--wait", apisim.url + "/uuid").out == "1\n"
    first = private_daemons(home)
    assert len(first) == 1
    assert len(local(home, "status", "-f", "json").json()) == 1
    assert private_daemons(home) == first
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
    assert len(private_daemons(home)) == 1


def test_it_holds_none_of_the_callers_descriptors(home):
    """A shell's $(...) would wait for ever for a daemon that keeps its pipe."""
    r = subprocess.run(["sh", "-c", f"out=$({BUILD}/fanoutctl --local status 2>&1); echo done"], env=environment(**home), timeout=30, capture_output=True)
    assert r.stdout == b"done\n"
    (pid,) = private_daemons(home)
    assert os.getsid(pid) != os.getsid(0)


def test_only_its_user_may_enter(home):
    local(home, "status")
    assert state_of(home).stat().st_mode & 0o777 == 0o700
    (socket,) = [p for p in state_of(home).iterdir() if p.is_socket()]
    assert socket.stat().st_mode & 0o077 == 0


def test_every_session_of_the_user_finds_it(home, apisim):
    """cron, ssh without a login session and su have no XDG_RUNTIME_DIR; a desktop has one."""
    local(home, "submit", "--wait", apisim.url + "/uuid")
    first = private_daemons(home)
    assert len(bare(without(home, "XDG_RUNTIME_DIR"), "status", "-f", "json").json()) == 1
    assert len(local(without(home, "XDG_RUNTIME_DIR"), "status", "-f", "json").json()) == 1
    assert len(bare({**home, "XDG_RUNTIME_DIR": "/nonexistent"}, "status", "-f", "json").json()) == 1
    assert private_daemons(home) == first


def test_the_daemon_of_an_earlier_version_is_found_at_its_old_place(home):
    runtime = pathlib.Path(home["XDG_RUNTIME_DIR"]) / "fanout"
    local(home, "status")
    runtime.mkdir(mode=0o700)
    (state_of(home) / "fanout.sock").rename(runtime / "fanout.sock")
    before = private_daemons(home)
    for call in (local, bare):
        assert call(home, "stats", "-f", "json").json()["version"]
    assert private_daemons(home) == before
    runtime.chmod(0o777)
    assert "no private daemon of yours is running" in bare(home, "stop").err, "a directory that others may write into is not trusted"
    assert private_daemons(home) == before


def test_a_home_with_a_path_too_long_for_a_socket_works(home, scratch, apisim):
    deep = scratch / ("d" * 100)
    deep.mkdir(mode=0o700)
    env = {"HOME": str(deep)}
    try:
        assert local(env, "submit", "--wait", apisim.url + "/uuid").out == "1\n"
        assert len(bare(env, "status", "-f", "json").json()) == 1
        assert len(private_daemons(env)) == 1
    finally:
        bare(env, "stop")
    assert private_daemons(env) == []


@no_system_daemon
def test_a_private_daemon_that_ended_is_started_again_by_whoever_asks_for_its_batches(home, apisim):
    assert "there is no socket /run/fanout/fanout.sock" in bare(home, "status", check=3).err
    local(home, "submit", "--wait", apisim.url + "/uuid")
    local(home, "stop")
    assert private_daemons(home) == []
    check, configuration = bare(home, "doctor", "-f", "json").json()
    assert (configuration["check"], configuration["result"], configuration["detail"]) == ("configuration", "ok", "(defaults)")
    assert check["result"] == "ok" and "its batches are kept, and the next verb starts it" in check["detail"]
    assert private_daemons(home) == []
    r = bare(home, "status", "-f", "json")
    assert [b["state"] for b in r.json()] == ["done"] and r.err == ""
    assert len(private_daemons(home)) == 1


def test_stop_ends_the_private_daemon_and_keeps_its_batches(home, apisim):
    local(home, "submit", "--wait", apisim.url + "/uuid")
    (pid,) = private_daemons(home)
    assert "its batches are kept" in bare(home, "stop").err
    assert not alive(pid)
    assert "no private daemon of yours is running" in bare(home, "stop").err
    assert len(local(home, "status", "-f", "json").json()) == 1


def test_a_private_daemon_that_is_ending_is_waited_for_and_started_again(home, gate):
    local(home, "submit", gate.url + "/held")
    wait_until(lambda: gate.held, what="the job runs")
    (first,) = private_daemons(home)
    os.kill(first, signal.SIGTERM)
    wait_until(lambda: not (state_of(home) / "fanout.sock").exists(), what="it takes no more clients")
    child = spawn([BUILD / "fanoutctl", "--local", "status", "-f", "json"], env=environment(**home), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert b"waiting for your private daemon" in child.stderr.readline()
    assert private_daemons(home)[0] == first
    gate.open()
    out, err = child.communicate(timeout=30)
    assert child.returncode == 0, err
    assert [b["state"] for b in json.loads(out)] == ["done"]
    (second,) = private_daemons(home)
    assert second != first


def test_stop_says_how_many_batches_had_jobs_left(home, gate):
    for n in range(3):
        local(home, "submit", "--concurrency", "1", f"{gate.url}/{n}?[1-3]")
    wait_until(lambda: len(gate.held) == 3, 20, "each has begun")
    local(home, "pause", "2")
    (pid,) = private_daemons(home)
    said = []
    stopping = threading.Thread(target=lambda: said.append(bare(home, "stop").err))
    stopping.start()
    wait_until(lambda: (not alive(pid)) or "stopping" in (state_of(home) / "fanoutd.log").read_text(), 20, "it is told to end")
    gate.open()  # else what runs is waited for
    stopping.join()
    kept = "your private daemon has ended; its batches are kept: 2 had jobs left, and the next verb starts it and goes on with them"
    assert said == [kept + "\n"], said
    local(home, "resume", "2")
    for batch in ("1", "2", "3"):
        local(home, "wait", batch)
    assert "its batches are kept\n" in bare(home, "stop").err, "nothing is left"


def test_stop_leaves_other_daemons_alone(home, daemon):
    assert "your private daemon only" in daemon.ctl("stop", check=2).err
    other = {**home, "FANOUT_SOCKET": str(daemon.socket)}
    local(home, "stats")
    assert "FANOUT_SOCKET names another" in bare(other, "stop", check=2).err
    assert daemon.running() and len(private_daemons(home)) == 1
    bare({**home, "FANOUT_SOCKET": str(state_of(home) / "fanout.sock")}, "stop")
    assert private_daemons(home) == []
    local(home, "stats")
    assert "has ended" in bare(other, "--local", "stop").err
    assert daemon.running() and private_daemons(home) == []


def test_the_version_of_a_daemon_is_told_where_one_answers_and_none_is_started(home):
    client = bare(home, "version").out
    assert re.fullmatch(r"fanoutctl \S+\n", client)
    local(home, "stats")
    assert re.fullmatch(client + r"fanoutd \S+\n", bare(home, "version").out)
    bare(home, "stop")
    for verb in (["version"], ["--local", "version"]):
        assert bare(home, *verb).out == client and private_daemons(home) == []


def test_its_log_has_times(home):
    local(home, "stats")
    bare(home, "stop")
    lines = (state_of(home) / "fanoutd.log").read_text().splitlines()
    assert lines and all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z fanout(d|-worker): ", line) for line in lines), lines


def test_a_daemon_that_cannot_start_is_told_with_its_log(home):
    state = pathlib.Path(home["HOME"]) / ".local/state/fanout"
    state.mkdir(parents=True, mode=0o700)
    (state / "fanout.db").write_text("this is no database, whatever its name says" * 50)
    r = local(home, "status", check=3, timeout=20)
    assert "the private daemon did not start" in r.err
    assert "its log ends with:" in r.err and "fanoutd: " in r.err
    assert r.err.startswith("fanoutctl: the private daemon did not start"), "what it is about comes first"
    assert r.err.index("its log ends with:") < r.err.index("fanoutd: ")


@no_system_daemon
def test_doctor_tells_that_a_configuration_on_disk_would_not_be_taken(home, apisim):
    conf = pathlib.Path(home["HOME"]) / ".config/fanout/fanout.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("workers = 1;\n")
    local(home, "submit", "--wait", apisim.url + "/uuid")

    def checks(code):
        return {c["check"]: (c["result"], c["detail"]) for c in bare(home, "doctor", "-f", "json", check=code).json()}

    assert checks(0)["configuration"] == ("ok", str(conf))
    conf.write_text("wrkers = 1;\nsocket = 3;\n")
    told = checks(1)
    assert told["daemon"][0] == "ok", "the one that runs has the old one"
    assert told["configuration"][0] == "wrong", told
    for word in (f'{conf}:1: unknown key "wrkers"; did you mean "workers"?', f"{conf}:2: socket has to be"):
        assert word in told["configuration"][1], told
    local(home, "stop")
    told = checks(3)
    assert told["configuration"][0] == "wrong" and told["socket"][0] == "wrong" and "would not start" in told["socket"][1], told
    r = local(home, "status", check=3)
    assert r.err.index("did not start") < r.err.index(f"{conf}:1: ") < r.err.index(f"{conf}:2: ")
    conf.unlink()
    assert checks(0)["configuration"] == ("ok", "(defaults)")


def test_a_state_directory_that_others_may_write_into_is_not_used(home):
    state_of(home).mkdir(mode=0o777, parents=True)
    state_of(home).chmod(0o777)
    r = local(home, "status", check=5)
    assert "belongs to you alone" in r.err
    assert private_daemons(home) == []


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_the_environment_of_the_user_before_is_told_as_the_cause(home, scratch):
    os.chmod(scratch / "home", 0o700)
    other = dict(user=65534, group=65534, extra_groups=[])
    r = local({"HOME": "/", "XDG_STATE_HOME": str(scratch / "home/state")}, "status", check=5, **other)
    assert "cannot make the directory" in r.err and "unset it, or use su -" in r.err
    assert "set it to your own, or use su -" in local(without(home, "XDG_RUNTIME_DIR"), "status", check=5, **other).err


def test_an_empty_socket_is_not_that_of_another_daemon(daemon, fanoutctl):
    for verb in (["status"], ["rm", "1-100"], ["limits"]):
        r = fanoutctl("-S", "", *verb, env={"FANOUT_SOCKET": str(daemon.socket)}, check=2)
        assert "--socket is empty" in r.err and not r.out
    fanoutctl("status", env={"FANOUT_SOCKET": str(daemon.socket)})


def test_local_and_a_socket_exclude_each_other(home):
    assert "leave --socket away" in local(home, "-S", "/x", "status", check=2).err
