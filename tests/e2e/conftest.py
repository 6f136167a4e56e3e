"""Fixtures of the end-to-end tests. The programs under test are those of $FANOUT_BUILD (default: build)."""

import contextlib
import json
import os
import re
import resource
import signal
import subprocess

import pytest

from harness.daemon import Daemon, Scratch, private_daemons, run
from harness.gate import Gate
from harness.process import BUILD, alive, environment, wait_until
from harness.pulls import PAGED, pull, write_recipe
from harness.servers import Apisim, Httpbin, Nghttpd, Nginx
from harness.shims import TELL_PEAK
from harness.worker import Hostile, Worker

# Started in the background by a shell, Python and all its children would take no SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test may hang the run; the slowest take a twentieth of this where nothing else runs.
TEST_TIMEOUT_S = 600
LOG_TAIL = 8000

_logs = pytest.StashKey()


@pytest.fixture(autouse=True)
def end_in_time():
    """A test that hangs fails, with the place where it hung."""

    def on_alarm(signum, frame):
        raise TimeoutError(f"the test took longer than {TEST_TIMEOUT_S} s")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(TEST_TIMEOUT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the logs of a failed test's daemons with its report."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for daemon in item.stash.get(_logs, []):
            report.sections.append((f"log of fanoutd in {daemon.dir}", daemon.last_log()))


@pytest.fixture
def scratch():
    """A directory with a short path, for sockets."""
    s = Scratch()
    yield s.path
    s.remove()


class LoggedDaemon(Daemon):
    """Keeps the end of its log beyond the end of its directory."""

    kept = ""

    def last_log(self):
        return self.log()[-LOG_TAIL:] or self.kept

    def close(self):
        self.kept = self.last_log()
        super().close()


@pytest.fixture
def make_daemon(request):
    """make_daemon(start=True, env={...}, workers=4, ...) makes a daemon; all are stopped and checked at the end."""
    daemons = request.node.stash.setdefault(_logs, [])

    def make(start=True, env=None, **config):
        daemon = LoggedDaemon(config, env)
        daemons.append(daemon)
        return daemon.start() if start else daemon

    yield make
    errors = []
    for daemon in daemons:
        try:
            daemon.close()
        except Exception as e:  # every one is closed, the first to complain is heard
            errors.append(e)
    if errors:
        raise errors[0]


@pytest.fixture
def daemon(make_daemon):
    """A running fanoutd with two workers."""
    return make_daemon()


@pytest.fixture
def ctl(daemon):
    """ctl("status", "7", check=0) runs fanoutctl against `daemon`."""
    return daemon.ctl


@pytest.fixture
def fanoutctl(scratch):
    """fanoutctl without a socket: fanoutctl("-S", path, "status"). Whoever runs the tests may have a private daemon."""

    def call(*args, env=None, **options):
        return run([BUILD / "fanoutctl", *args], env=environment(**{"HOME": str(scratch), **(env or {})}), **options)

    return call


@pytest.fixture
def fanoutd(scratch):
    """fanoutd run to its end: fanoutd("-n", "-c", file, check=2)."""

    def call(*args, env=None, **options):
        return run([BUILD / "fanoutd", *args], env=environment(**{"HOME": str(scratch), **(env or {})}), **options)

    return call


@pytest.fixture
def apisim():
    """A fresh API simulator, with empty counts; answers on every address of 127.0.0.0/8."""
    server = Apisim(bind="0.0.0.0")
    yield server
    server.close()


@pytest.fixture
def species(daemon, apisim):
    """16 pages of 10 items, with a total."""
    api = apisim.pages("page", "a", items=160, size=10, totals=["items", "pages"])
    write_recipe(daemon, "species", url=str(api), page=PAGED, items=".result[]", key=".id")
    return api


@pytest.fixture
def done(daemon, ctl, species):
    """The number of a complete run of species."""
    run, receipt = pull(daemon, "species")
    assert receipt["complete"], receipt
    return str(run.number)


@pytest.fixture
def mixed(ctl, apisim):
    """A batch of three: done, failed with 404, done with a tag that wants quoting."""
    lines = [
        {"url": apisim.url + "/json"},
        {"url": apisim.url + "/status/404"},
        {"url": apisim.url + "/bytes/2000", "tag": 'a "b", c'},
    ]
    batch = ctl("submit", "-p", "-i", "-", input="".join(json.dumps(line) + "\n" for line in lines)).out.strip()
    ctl("wait", batch, check=1)
    return batch


@pytest.fixture
def many_files():
    """For tests with more sockets of their own than the usual 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def gate():
    """A server that answers when the test says so."""
    server = Gate()
    yield server
    server.open()
    server.close()


@pytest.fixture
def make_worker():
    workers = []

    def make(**options):
        workers.append(Worker(**options))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


@pytest.fixture
def worker(make_worker):
    return make_worker()


@pytest.fixture
def serve():
    """serve(behave) starts a server that runs behave(connection) for each connection."""
    servers = []

    def start(behave, **options):
        servers.append(Hostile(behave, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def say(serve):
    """say(bytes) is a server that answers each connection's first request with these bytes and closes."""

    def start(*parts):
        def behave(c):
            c.request()
            c.say(*parts)

        return serve(behave).url

    return start


@pytest.fixture
def answer(serve):
    """answer(body, ...) is a server that answers every request with it."""

    def start(body, **options):
        def behave(c):
            while c.request():
                c.answer(body, **options)

        return serve(behave).url

    return start


@pytest.fixture
def preload(tmp_path):
    """preload(source, "-D...") compiles a library; the environment of a program that has it before all others."""

    def make(source, *options):
        library = tmp_path / "preload.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-w", *options, "-x", "c", "-", "-o", library], input=source.encode(), check=True)
        env = environment(LD_PRELOAD=str(library))
        return {**env, "ASAN_OPTIONS": env["ASAN_OPTIONS"] + ":verify_asan_link_order=0"}

    return make


@pytest.fixture
def home(scratch):
    """A user's environment, and the end of the private daemon that was started in it."""
    for name in ("run", "home"):
        (scratch / name).mkdir(mode=0o700)
    env = {"XDG_RUNTIME_DIR": str(scratch / "run"), "HOME": str(scratch / "home")}
    yield env
    for pid in private_daemons(env):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not alive(pid), 20, "the private daemon ends")


@pytest.fixture
def peak_of(preload, tmp_path):
    """peak_of(argv, ...) runs a program to its end: how it ended, and the most memory it had, in KiB, told by itself: what wait4(2)
    says of it has the memory of whoever started it, too."""
    path = tmp_path / "peak"
    env = preload(TELL_PEAK, f'-DPEAK="{path}"')
    env["ASAN_OPTIONS"] += ":quarantine_size_mb=0"  # what was freed is room again

    def call(argv, **options):
        result = run(argv, env=env, **options)
        return result, int(re.search(r"^VmHWM:\s+(\d+) kB$", path.read_text(), re.M)[1])

    return call


@pytest.fixture
def until_in_time():
    """A deadline in which a request surely ends is not known: one that it did not keep is replaced by a longer one."""

    def try_it(attempt):
        for deadline in ("1s", "8s", "60s"):
            rows = attempt(deadline)
            if rows[0]["reason"] != "expired":
                return rows
        raise AssertionError(f"a request did not end within a minute: {rows[0]}")

    return try_it


def session_server(kind):
    @pytest.fixture(scope="session", name=kind.__name__.lower())
    def fixture():
        server = kind()
        yield server
        server.close()

    return fixture


nginx = session_server(Nginx)
httpbin = session_server(Httpbin)
nghttpd = session_server(Nghttpd)
