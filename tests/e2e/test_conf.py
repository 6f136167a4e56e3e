"""How fanoutd starts and ends: configuration, what stands in its way, signals, the service manager, private daemons."""

import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess

import pytest

from harness.http import Answer, Api, UnixConnection
from harness.process import BUILD, ROOT, alive, environment, spawn, wait_until

NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")

START, USAGE, CORRUPT, NEWER, LOCKED, PERMISSION = 1, 2, 65, 70, 75, 77


def ended(daemon, *args, **options):
    """Starts what cannot start; its exit code and what it said."""
    daemon.log_path.write_text("")
    code = daemon.spawn(*args, **options).wait()
    return code, daemon.log()


def answers(path):
    def ready():
        try:
            return Api(path).get("/healthz").status == 200
        except OSError:
            return False

    return ready


# ---- The configuration ----


def test_a_good_configuration_is_checked_and_nothing_is_started(fanoutd, make_daemon):
    daemon = make_daemon(start=False)
    checked = fanoutd("-n", "-c", daemon.conf_path)
    assert (checked.out, checked.err) == (f"{daemon.conf_path}: ok\n", "")
    assert not daemon.socket.exists()
    assert list(daemon.state.iterdir()) == []


@pytest.mark.parametrize(
    "text, line, word",
    [
        ("workers = 1;\nworkrs = 2;\n", 2, 'unknown key "workrs"'),
        ('workers = "2";\n', 1, "whole number"),
        ("defaults = {\n  timeout = \"soon\";\n};\n", 2, "timeout"),
        ('limits = (\n  { match = "a"; rate = "fast"; }\n);\n', 2, "rate"),
        ('limits = (\n  { match = "a"; rate = "1/s"; },\n  { match = "a"; rate = "2/s"; }\n);\n', 3, "two limits called"),
        ('limits = (\n\n  { match = "http://a/"; rate = "1/s"; }\n);\n', 3, "is a URL"),
        ("workers = 1\nsocket = {{\n", 2, "syntax error"),
        ("socket_mode = 0660;\n", 1, "in quotes"),
    ],
)
def test_a_wrong_configuration_is_refused_with_file_and_line(fanoutd, scratch, text, line, word):
    path = scratch / "fanout.conf"
    path.write_text(text)
    for args in (["-n"], []):
        refused = fanoutd("-c", path, *args, check=START)
        assert f"{path}:{line}: " in refused.err and word in refused.err, refused
        assert refused.out == ""


def test_the_shipped_configuration_is_a_good_one(fanoutd):
    fanoutd("-n", "-c", pathlib.Path(__file__).resolve().parents[2] / "etc/fanout.conf")


def test_a_missing_configuration_is_told_by_name(fanoutd, scratch):
    for local in ([], ["--local"]):
        assert "no-such.conf: cannot be read" in fanoutd(*local, "-c", scratch / "no-such.conf", check=USAGE).err


def test_the_usage_has_the_manual_pages_forms(fanoutd):
    forms = re.findall(r"(?:usage:| {6}) fanoutd (.*)", fanoutd("-h").out)
    synopsis = (ROOT / "docs/fanoutd.8").read_text().split(".Sh SYNOPSIS\n")[1].split(".Sh ")[0]
    words = synopsis.replace(".Fl -local", "--local").replace(".Fl h | V", "-h | -V")
    words = re.sub(r"^\.Op Fl (\w) Ar file$", r"[-\1 FILE]", words, flags=re.M)
    words = re.sub(r"^\.Op Fl (\w)$", r"[-\1]", words, flags=re.M)
    assert forms == [" ".join(form.split()) for form in words.split(".Nm")[1:]]


@pytest.mark.skipif(os.path.exists("/etc/fanout/fanout.conf"), reason="fanout is installed here")
def test_without_a_configuration_the_ways_to_have_one_are_named(fanoutd):
    err = fanoutd(check=USAGE).err
    assert "-c FILE" in err and "--local" in err


def test_usage(fanoutd):
    assert fanoutd("-h").out.startswith("usage: fanoutd")
    assert fanoutd("-V").out.startswith("fanoutd ")
    for args in (["-x"], ["--conf"], ["stray"], ["--idle", "soon", "--local"]):
        assert fanoutd(*args, check=USAGE).err


def test_certificates_to_trust_are_named_by_the_environment(make_daemon, nginx):
    outcomes = {}
    for env in ({}, {"SSL_CERT_FILE": str(nginx.dir / "cert.pem")}):
        daemon = make_daemon(env=env)
        batch = daemon.api.post("/v1/batches", {"jobs": [{"url": nginx.tls_url}]}).json()["batch"]
        daemon.api.get(f"/v1/batches/{batch}/wait?timeout=3min")
        job = daemon.api.get(f"/v1/jobs/{batch}.1").json()
        outcomes[len(env)] = (job["state"], job["attempt_list"][0]["cause"])
    assert outcomes == {0: ("failed", "tls_verify"), 1: ("done", "response")}


# ---- What stands in the way ----


def test_a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on(make_daemon):
    first = make_daemon()
    second = make_daemon(start=False, state_dir=first.state)
    code, log = ended(second)
    assert code == LOCKED
    assert str(first.pid) in log and str(first.state) in log
    assert first.api.get("/healthz").status == 200


def test_a_second_daemon_on_the_same_socket_is_refused_and_the_first_goes_on(make_daemon):
    first = make_daemon()
    second = make_daemon(start=False, socket=first.socket)
    code, log = ended(second)
    assert code == LOCKED
    assert f"another daemon answers at {first.socket}" in log
    assert first.api.get("/healthz").status == 200


def test_the_socket_of_a_killed_daemon_is_replaced(daemon):
    daemon.kill()
    assert daemon.socket.is_socket()
    daemon.start()
    assert "stale socket removed" in daemon.log()


def test_a_file_in_the_sockets_place_is_left_alone(make_daemon):
    daemon = make_daemon(start=False)
    daemon.socket.write_text("precious")
    code, log = ended(daemon)
    assert code == START and str(daemon.socket) in log
    assert daemon.socket.read_text() == "precious"


def test_a_socket_whose_directory_is_missing_is_told(make_daemon):
    daemon = make_daemon(start=False, socket="/tmp/no-such-directory-of-fanout/s")
    code, log = ended(daemon)
    assert code == START and "does its directory exist" in log
    assert "worker started" not in log and not (daemon.state / "fanout.db").exists(), "nothing was begun"


@ROOT_ONLY
def test_a_socket_whose_directory_may_not_be_written_into_is_told(fanoutd, scratch):
    (scratch / "fanout.conf").write_text(f'socket = "{scratch}/s"; state_dir = "{scratch}/state";\n')
    scratch.chmod(0o755)
    err = fanoutd("-c", scratch / "fanout.conf", user=NOBODY, group=NOBODY, extra_groups=[], check=PERMISSION).err
    assert f"cannot listen at {scratch}/s: Permission denied" in err and "may write into" in err


def test_a_socket_path_that_is_too_long_is_told(make_daemon):
    daemon = make_daemon(start=False, socket="/tmp/" + "a" * 110)
    code, log = ended(daemon)
    assert code == START and "longer than 107 bytes" in log


def database(daemon):
    return next(p for p in daemon.state.iterdir() if p.read_bytes()[:15] == b"SQLite format 3")


def test_a_database_of_a_newer_version_is_left_alone(daemon):
    daemon.stop()
    path = database(daemon)
    db = sqlite3.connect(path)
    version = db.execute("PRAGMA user_version").fetchone()[0]
    db.execute(f"PRAGMA user_version = {version + 1}")
    db.commit()
    db.close()
    code, log = ended(daemon)
    assert code == NEWER and "newer" in log
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == version + 1
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.close()
    daemon.start()


def test_a_damaged_database_is_refused_and_left_as_it_is(daemon):
    daemon.stop()
    path = database(daemon)
    damaged = b"SQLite format 3\0" + b"\xa5" * (path.stat().st_size - 16)
    path.write_bytes(damaged)
    code, log = ended(daemon)
    assert code == CORRUPT, log
    assert path.read_bytes() == damaged


@ROOT_ONLY
def test_a_state_directory_that_cannot_be_written_is_told(make_daemon):
    daemon = make_daemon(start=False)
    os.chmod(daemon.dir, 0o777)
    daemon.log_path.touch(0o666)
    code, log = ended(daemon, user=NOBODY, group=NOBODY)
    assert code == PERMISSION, log
    assert str(daemon.state) in log


# ---- Signals ----


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_asked(daemon, sig):
    workers = daemon.workers()
    daemon.kill(sig)
    assert daemon.wait() == 0
    assert not daemon.socket.exists()
    wait_until(lambda: not any(map(alive, workers)), what="the workers have gone")
    assert "status=0" in daemon.log()


def test_a_second_signal_ends_it_at_once(daemon, apisim):
    daemon.api.post("/v1/batches", {"jobs": [{"url": f"{apisim.url}/hang"}]})
    wait_until(lambda: daemon.api.get("/v1/batches/1").json()["counts"]["running"] == 1, what="it runs")
    daemon.kill(signal.SIGTERM)
    wait_until(lambda: not daemon.socket.exists(), what="it does not listen any more")
    assert daemon.running()
    daemon.kill(signal.SIGTERM)
    assert daemon.wait(5) == 0


def test_a_changed_configuration_is_reloaded(daemon, apisim):
    daemon.configure(log_level="debug", defaults={"max_attempts": 1})
    daemon.kill(signal.SIGHUP)
    wait_until(lambda: "configuration reloaded" in daemon.log(), what="it says so")
    daemon.api.post("/v1/batches", {"jobs": [{"url": f"{apisim.url}/status/503"}]})
    assert daemon.api.get("/v1/batches/1/wait?timeout=3min").json()["state"] == "failed"
    assert daemon.api.get("/v1/jobs/1.1").json()["attempts"] == 1
    daemon.configure(network={"deny": ["10.0.0.0/8"]})
    daemon.kill(signal.SIGHUP)
    wait_until(lambda: "need a restart" in daemon.log(), what="it says what it cannot change")


def test_a_wrong_new_configuration_changes_nothing(daemon):
    daemon.configure(colour="red")
    daemon.kill(signal.SIGHUP)
    wait_until(lambda: "configuration not reloaded" in daemon.log(), what="it says so")
    assert "colour" in daemon.log()
    assert daemon.api.get("/healthz").status == 200


# ---- The service manager ----


def test_the_service_manager_is_told_what_happens(make_daemon):
    daemon = make_daemon(start=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(daemon.dir / "notify"))
        manager.settimeout(120)
        # WATCHDOG_PID is not set: the watchdog is for whoever is told.
        daemon.env = {"NOTIFY_SOCKET": str(daemon.dir / "notify"), "WATCHDOG_USEC": "200000"}
        daemon.spawn()

        def next_with(word):
            while word not in (message := manager.recv(4096).decode()):
                pass
            return message

        next_with("READY=1")
        assert "0 jobs wait" in next_with("STATUS=")
        assert daemon.api.get("/healthz").status == 200
        next_with("WATCHDOG=1")
        next_with("WATCHDOG=1")
        daemon.kill(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in next_with("RELOADING=1")
        next_with("READY=1")
        daemon.kill(signal.SIGTERM)
        next_with("STOPPING=1")
        assert daemon.wait() == 0


def test_a_socket_that_systemd_made_is_used_and_left_there(make_daemon):
    daemon = make_daemon(start=False)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(daemon.socket))
        listening.listen(16)
        daemon.spawn_on(listening)
        wait_until(daemon.ready, what="it answers")
        daemon.stop()
        assert daemon.socket.is_socket()


# ---- A private daemon ----


def local(scratch, *args, **options):
    env = environment(HOME=str(scratch), XDG_RUNTIME_DIR=str(scratch / "run"), XDG_STATE_HOME=str(scratch / "state"))
    env.update(options.pop("env", {}))
    return spawn([BUILD / "fanoutd", "--local", *args], env=env, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **options)


def start_and_hold(scratch, path):
    """A private daemon that ends after a second without clients, and a connection that keeps it."""

    def start():
        child = local(scratch, "--idle", "1")
        while child.poll() is None:
            try:
                held = UnixConnection(path, 240)
                held.request("GET", "/healthz")
                assert Answer(held.getresponse()).status == 200
                return child, held
            except OSError:
                held.close()
        # We were so late that it had ended by itself.
        assert child.returncode == 0
        child.stderr.close()
        return None

    return wait_until(start, 20, "it answers")


def test_a_private_daemon_needs_nothing_and_ends_when_idle(scratch, gate):
    path = scratch / "state/fanout/fanout.sock"
    child, held = start_and_hold(scratch, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    api = Api(path)
    api.post("/v1/batches", {"jobs": [{"url": gate.url}]})
    wait_until(lambda: gate.held, what="a job runs")
    held.close()
    assert child.stays(2.5), "a job keeps it"
    gate.open()
    held = api.connect()
    assert api.get("/v1/batches/1/wait").json()["state"] == "done"
    assert child.stays(2.5), "a connection keeps it; it ends when the last has gone"
    held.close()
    assert child.wait(20) == 0
    assert not path.exists()
    assert "idle" in child.stderr.read().decode()
    child.stderr.close()
    # What it did is still there.
    child = local(scratch, "--idle", "60")
    wait_until(answers(path), 20, "it answers again")
    assert api.get("/v1/batches/1").json()["state"] == "done"
    child.terminate()
    assert child.wait(20) == 0
    child.stderr.close()


def test_a_private_daemon_reads_the_users_configuration(scratch, fanoutd):
    conf = scratch / ".config/fanout/fanout.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("workrs = 1;\n")
    env = {"HOME": str(scratch)}
    assert f"{conf}:1: " in fanoutd("--local", env=env, check=START).err
    conf.write_text('workers = 1; socket = "/nowhere/s"; state_dir = "/nowhere";\n')
    child = local(scratch)
    wait_until(answers(scratch / "state/fanout/fanout.sock"), 20, "it answers at the private place all the same")
    assert fanoutd("--local", "-n", env=env).out == f"{conf}: ok\n"
    child.send_signal(signal.SIGHUP)
    wait_until(lambda: b"configuration reloaded" in (line := child.stderr.readline()) and f"file={conf}".encode() in line, 20, "it names the file")
    conf.unlink()
    child.send_signal(signal.SIGHUP)
    wait_until(lambda: b"file=(defaults)" in child.stderr.readline(), 20, "it is looked for anew")
    child.terminate()
    assert child.wait(20) == 0
    child.stderr.close()


@ROOT_ONLY
def test_a_private_directory_that_somebody_else_made_is_not_used(scratch):
    (scratch / "state/fanout").mkdir(parents=True)
    os.chown(scratch / "state/fanout", NOBODY, NOBODY)
    child = local(scratch)
    assert child.wait(20) == PERMISSION
    assert "not a directory of this user's own" in child.stderr.read().decode()
    child.stderr.close()


# ---- The manual ----

MANUAL = pathlib.Path(__file__).resolve().parents[2] / "docs/fanout.conf.5"


def test_the_manuals_example_is_a_good_configuration(fanoutd, scratch):
    text = MANUAL.read_text()
    path = scratch / "fanout.conf"
    path.write_text(text[text.index(".Bd -literal\n") + 13 : text.index(".Ed\n")])
    fanoutd("-n", "-c", path)


def test_the_manual_has_every_key_and_no_other(fanoutd, scratch):
    path = scratch / "fanout.conf"
    known = set()
    for text in ("?", "defaults = { ? };", "network = { ? };", "retention = { ? };", "limits = ( { ? } );"):
        path.write_text(text.replace("?", "x = 1;"))
        known |= set(fanoutd("-n", "-c", path, check=START).err.split("known are: ")[1].splitlines()[0].split())
    groups = {"defaults", "limits", "network", "retention"}
    listed = set(re.findall(r"^\.It Ic (\w+)$", MANUAL.read_text(), re.M)) | set(re.findall(r"^\.Ss (\w+)$", MANUAL.read_text(), re.M))
    assert known == listed
    assert groups < known
