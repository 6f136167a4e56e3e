"""Waiting for runs: a private daemon that dies meanwhile, and what wait and follow make of a verdict."""

import contextlib
import os
import signal
import subprocess

import pytest

from harness.daemon import private_daemons, run
from harness.process import BUILD, alive, environment, spawn, wait_until
from harness.pulls import write_recipe


@pytest.fixture
def private(home):
    """private(*args) → a client that was started in the user's environment, and has a private daemon."""

    def call(*args):
        return spawn([BUILD / "fanoutctl", *args], env=environment(**home), stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return call


def put_recipe(home, name, url, more=""):
    where = os.path.join(home["HOME"], ".config/fanout/pulls.d")
    os.makedirs(where, mode=0o700, exist_ok=True)
    with open(os.path.join(where, f"{name}.conf"), "w") as f:
        f.write(f'url = "{url}";\npage = {{ type = "cursor"; param = "cursor"; next = ".next_cursor"; }};\nitems = ".result[]";\n{more}')


def kill_daemon(home):
    (pid,) = private_daemons(home)
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        wait_until(lambda: not alive(pid), 20, "the private daemon is gone")


@pytest.mark.parametrize("verb", ["run", "wait", "follow", "items"])
def test_a_private_daemon_that_is_killed_is_started_again_by_who_waits(home, private, apisim, verb, scratch):
    api = apisim.pages("cursor", "a", items=30, size=1, latency=0.1)
    put_recipe(home, "r", api)
    first = private("--local", "pull", "run", "r", *(["--wait"] if verb == "run" else []))
    number = first.stdout.readline().decode().strip()
    waits = {
        "run": lambda: first,
        "wait": lambda: private("wait", number),
        "follow": lambda: private("follow", number),
        "items": lambda: private("items", number, "--follow", "-o", scratch / "out.ndjson"),
    }
    child = waits[verb]()
    wait_until(lambda: len(apisim.page_log("a")) > 5, 30, "some pages are asked for")
    kill_daemon(home)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, (out, err)
    assert len(private_daemons(home)) == 1
    if verb == "items":
        assert len((scratch / "out.ndjson").read_text().splitlines()) == 30
    if verb == "run":
        assert b"pull r: complete: 30 pages, 30 items" in err


def test_where_it_cannot_be_started_again_the_run_is_said_to_be_safe(home, private, apisim):
    api = apisim.pages("cursor", "a", items=30, size=1, latency=0.1)
    put_recipe(home, "r", api)
    child = private("--local", "pull", "run", "r", "--wait")
    number = child.stdout.readline().decode().strip()
    conf = os.path.join(home["HOME"], ".config/fanout/fanout.conf")
    with open(conf, "w") as f:
        f.write("this is no setting\n")
    kill_daemon(home)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 3, (out, err)
    assert f"run {number} is on its disk: fanoutctl wait {number} goes on".encode() in err
    os.remove(conf)
    assert run([BUILD / "fanoutctl", "wait", number], env=environment(**home)).code == 0


def test_a_private_daemon_that_was_stopped_on_purpose_stays_so(home, private, apisim):
    """Until somebody else starts it: then the wait goes on."""
    api = apisim.pages("cursor", "a", items=30, size=1, latency=0.1)
    put_recipe(home, "r", api)
    child = private("--local", "pull", "run", "r", "--wait")
    child.stdout.readline()
    run([BUILD / "fanoutctl", "stop"], env=environment(**home))
    assert private_daemons(home) == []
    run([BUILD / "fanoutctl", "status"], env=environment(**home))
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, (out, err)


# ---- what a verdict makes of wait and follow ----


def spare(daemon, apisim):
    """Complete, with pages behind the end that were asked for in vain or cancelled."""
    api = apisim.pages("page", "a", items=30, size=10, end="500", has_more=True)
    page = {"type": "page", "param": "page", "window": 8, "has_more": ".has_more"}
    write_recipe(daemon, "r", url=str(api), page=page, items=".result[]", retry={"max_attempts": 1})


def looping(daemon, apisim):
    """Failed by a guard; every job of it is done."""
    api = apisim.pages("cursor", "a", items=50, size=10, loop="3:1")
    write_recipe(daemon, "r", url=str(api), page={"type": "cursor", "param": "cursor", "next": ".next_cursor"}, items=".result[]")


def holed(daemon, apisim):
    api = apisim.pages("page", "a", items=50, size=10, totals=["pages"], fail=["3:*:503"])
    page = {"type": "page", "param": "page", "total_pages": ".pages"}
    write_recipe(daemon, "r", url=str(api), page=page, items=".result[]", retry={"max_attempts": 1})


@pytest.mark.parametrize("kind, verdict, status", [(spare, "complete", 0), (looping, "failed", 1), (holed, "incomplete", 1)])
@pytest.mark.parametrize("verb", ["wait", "follow"])
def test_a_run_that_is_waited_for_by_number_ends_with_its_receipt(daemon, ctl, apisim, kind, verdict, status, verb):
    kind(daemon, apisim)
    number = ctl("pull", "run", "r").out.strip()
    r = ctl(verb, number, check=status)
    assert f"pull r: {verdict}: " in r.err and f"batch {number}:" not in r.err
    receipt = daemon.api.get(f"/v1/runs/{number}").json()
    assert receipt["verdict"] == verdict
    assert ctl("wait", number, check=status).err.splitlines()[0] in r.err


def test_a_cancelled_run_that_is_waited_for_by_number_has_the_status_of_that(daemon, ctl, gate):
    write_recipe(daemon, "slow", url=gate.url + "/x", items=".[]")
    number = ctl("pull", "run", "slow").out.strip()
    ctl("cancel", number)
    assert "pull slow: cancelled" in ctl("wait", number, check=7).err
