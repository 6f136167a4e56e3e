"""The frame around the programs: the Makefile's promises, what is installed, the demo, and who may include whom."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from harness.daemon import run
from harness.process import BUILD, ROOT, environment, spawn, wait_until

TARGETS = "all deps demo check check-asan lint fmt bench cover install clean help".split()


def make(*args, **options):
    """Runs make on what is built, without building: these tests may run while others use the programs."""
    return run(["make", "-C", ROOT, "--no-print-directory", "-o", "all", f"BUILD={BUILD}", *args], env=make_environment(), **options)


def make_environment():
    env = environment()
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DESTDIR", "PREFIX"):
        env.pop(name, None)
    return env


def sources(*rooms):
    return [p for room in rooms for p in sorted((ROOT / room).glob("*.[ch]"))]


def test_help_lists_every_target():
    listed = re.findall(r"^  make (\S+) +\S", make("help").out, re.M)
    assert set(TARGETS) <= set(listed)


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="not a Debian")
def test_deps_finds_nothing_missing_where_the_tests_run():
    assert make("deps").out.strip().endswith("nothing is missing")


def test_install_puts_everything_below_destdir_and_keeps_the_configuration(scratch):
    conf = scratch / "etc/fanout/fanout.conf"
    make("install", f"DESTDIR={scratch}", "PREFIX=/usr")
    for path in ("bin/fanoutctl", "sbin/fanoutd", "libexec/fanout/fanout-worker"):
        assert os.access(scratch / "usr" / path, os.X_OK)
    for path in ("systemd/system/fanoutd.service", "systemd/system/fanoutd.socket", "sysusers.d/fanout.conf", "tmpfiles.d/fanout.conf"):
        assert (scratch / "usr/lib" / path).is_file()
    assert conf.read_text() == (ROOT / "etc/fanout.conf").read_text()
    conf.write_text("# mine\n")
    make("install", f"DESTDIR={scratch}", "PREFIX=/usr")
    assert conf.read_text() == "# mine\n"
    make("uninstall", f"DESTDIR={scratch}", "PREFIX=/usr")
    left = [str(p.relative_to(scratch)) for p in scratch.rglob("*") if p.is_file()]
    assert left == ["etc/fanout/fanout.conf"]


def test_installed_units_name_the_installed_programs(scratch):
    make("install", f"DESTDIR={scratch}", "PREFIX=/opt/fanout")
    unit = (scratch / "opt/fanout/lib/systemd/system/fanoutd.service").read_text()
    assert "ExecStart=/opt/fanout/sbin/fanoutd -c /etc/fanout/fanout.conf" in unit
    assert "/usr/sbin/fanoutd" not in unit


def test_shipped_configuration_is_accepted(fanoutd):
    fanoutd("-n", "-c", ROOT / "etc/fanout.conf")


def test_shipped_configuration_is_accepted_with_its_examples(fanoutd, scratch):
    text = (ROOT / "etc/fanout.conf").read_text()
    examples = re.sub(r"^# (limits = \()$((?:\n#.*)+?)\n# (\);)$", lambda m: m[0].replace("\n#", "\n").lstrip("# "), text, flags=re.M)
    examples = examples.replace("\nlimits = ();\n", "\n")
    assert examples != text and "\n\t{ name = \"cats\"" in examples
    (scratch / "conf").write_text(examples)
    fanoutd("-n", "-c", scratch / "conf")


def processes_of(directory):
    """The pids whose command line or environment leads into a directory."""
    found = []
    for proc in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(directory).encode() in (proc / "cmdline").read_bytes():
                found.append(int(proc.name))
        except OSError:
            continue
    return found


def demo_environment(scratch):
    return environment(FANOUT_BUILD=str(BUILD), TMPDIR=str(scratch))


def test_demo_shows_what_it_promises_and_cleans_up(scratch):
    done = run([ROOT / "tests/demo.sh"], env=demo_environment(scratch), cwd=ROOT, timeout=120)
    times = re.search(r"One after another: (\S+) s\.  Fanned out: (\S+) s\.  (\d+) times as fast", done.out)
    assert times, done
    # A hundred times a tenth of a second; the simulator's timers may be a millisecond early.
    assert float(times[1]) >= 9.9 and float(times[1]) > float(times[2]), done
    assert list(scratch.iterdir()) == []
    wait_until(lambda: processes_of(scratch) == [], what="the demo's processes are gone")


def test_interrupted_demo_cleans_up(scratch):
    child = spawn(
        [ROOT / "tests/demo.sh"],
        env=demo_environment(scratch),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    for line in child.stdout:
        if line.startswith(b"$ fanoutctl submit --concurrency 1"):
            break
    assert processes_of(scratch)
    os.killpg(child.pid, signal.SIGINT)
    rest = child.stdout.read()
    assert child.wait(30) == 130, rest
    assert list(scratch.iterdir()) == []
    wait_until(lambda: processes_of(scratch) == [], what="the demo's processes are gone")


@pytest.mark.parametrize("room", ["daemon", "worker", "cli", "lib"])
def test_rooms_do_not_include_each_other(room):
    allowed = {room, "lib"}
    for path in sources(room):
        for included in re.findall(r'^#include "(\w+)/', path.read_text(), re.M):
            assert included in allowed, f"{path.relative_to(ROOT)} includes {included}/"


def test_only_the_store_knows_sql():
    for path in sources("daemon", "worker", "cli", "lib"):
        if not path.name.startswith("store_"):
            assert "sqlite3.h" not in path.read_text(), path.relative_to(ROOT)


@pytest.mark.parametrize("module", ["job", "sched", "limit", "retry"])
def test_pure_modules_do_no_io(module):
    for path in [p for p in sources("daemon") if re.fullmatch(rf"{module}(_\w+)?\.[ch]", p.name)]:
        forbidden = re.search(r"event2/|sys/socket\.h|unistd\.h|fcntl\.h|clock_gettime|clock_(boot|wall)_us\(|\btime\(", path.read_text())
        assert not forbidden, f"{path.relative_to(ROOT)} has {forbidden[0]}"


def test_no_file_is_longer_than_can_be_read():
    lines = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in sources("daemon", "worker", "cli", "lib", "tests/apisim")}
    assert {path: n for path, n in lines.items() if n > 500} == {}


@pytest.mark.parametrize("room", ["lib", "daemon", "worker", "cli"])
def test_every_module_is_listed_and_every_listed_one_is_there(room):
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    listed = re.search(rf"^{room.upper()}_MODULES = (.*)$", text, re.M)[1].split()
    assert sorted(listed) == sorted(p.stem for p in (ROOT / room).glob("*.c"))
