"""The frame around the programs: the Makefile's promises, what is installed, the demo, and who may include whom."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
from xml.etree import ElementTree

import pytest

from harness.daemon import run
from harness.process import BUILD, ROOT, environment, spawn, wait_until

UNITS = [f"systemd/system/{name}" for name in ("fanoutd.service", "fanoutd.socket", "fanout-pull@.service", "fanout-pull@.timer")]
EXAMPLES = ["issues", "orders", "species"]
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
    found = [p for room in rooms for p in sorted((ROOT / room).glob("*.[ch]"))]
    assert len(found) > 10 * len(rooms)
    return found


def test_help_lists_every_target():
    listed = re.findall(r"^  make (\S+) +\S", make("help").out, re.M)
    assert set(TARGETS) <= set(listed)


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="not a Debian")
def test_deps_finds_nothing_missing_where_the_tests_run():
    assert make("deps").out.strip().endswith("nothing is missing")


def test_install_puts_everything_below_destdir_and_keeps_the_configuration(scratch):
    conf = scratch / "etc/fanout/fanout.conf"
    make("install", f"DESTDIR={scratch}", "PREFIX=/usr")
    for path in ("bin/fanoutctl", "sbin/fanoutd", "libexec/fanout/fanout-worker", "libexec/fanout/fanoutctl-full"):
        assert os.access(scratch / "usr" / path, os.X_OK)
    for path in (*UNITS, "sysusers.d/fanout.conf", "tmpfiles.d/fanout.conf"):
        assert (scratch / "usr/lib" / path).is_file()
    for name in EXAMPLES:
        assert (scratch / f"etc/fanout/pulls.d/{name}.conf.example").read_text() == (ROOT / f"etc/pulls.d/{name}.conf").read_text()
    assert (scratch / "usr/share/doc/fanout/fanout.cron").is_file() and not (scratch / "etc/cron.d").exists()  # an example
    assert conf.read_text() == (ROOT / "etc/fanout.conf").read_text()
    conf.write_text("# mine\n")
    make("install", f"DESTDIR={scratch}", "PREFIX=/usr")
    assert conf.read_text() == "# mine\n"
    make("uninstall", f"DESTDIR={scratch}", "PREFIX=/usr")
    left = [str(p.relative_to(scratch)) for p in scratch.rglob("*") if p.is_file()]
    assert left == ["etc/fanout/fanout.conf"]


def test_fanoutctl_is_linked_to_nothing_that_takes_long_to_load():
    program = (BUILD / "fanoutctl").read_bytes()
    assert [name for name in ("libcurl", "libssl", "libjq", "libconfig") if f"{name}.so".encode() in program] == []


def test_what_needs_more_is_found_where_it_is_installed(scratch):
    make("install", f"DESTDIR={scratch}", "PREFIX=/usr")
    check = [scratch / "usr/bin/fanoutctl", "pull", "check", ROOT / "etc/pulls.d/species.conf"]
    assert run(check, env=environment()).out == run([BUILD / "fanoutctl-full", *check[1:]], env=environment()).out


@pytest.mark.parametrize("full", ["missing", "copy", "link"])
def test_a_client_without_the_rest_of_it_says_so(scratch, full):
    client, other = scratch / "fanoutctl", scratch / "fanoutctl-full"
    shutil.copy(BUILD / "fanoutctl", client)
    if full == "copy":
        shutil.copy(client, other)
    elif full == "link":
        other.symlink_to("fanoutctl")
    told = run([client, "pull", "list"], check=1, env=environment(), timeout=20).err
    assert "fanoutctl-full is " in told and "install fanout as a whole" in told


def test_what_is_installed_names_the_installed_programs(scratch):
    make("install", f"DESTDIR={scratch}", "PREFIX=/opt/fanout", "SYSCONFDIR=/opt/fanout/etc")
    installed = scratch / "opt/fanout"
    units = installed / "lib/systemd/system"
    assert "\nExecStart=/opt/fanout/sbin/fanoutd -c /opt/fanout/etc/fanout.conf\n" in (units / "fanoutd.service").read_text()
    assert "\nExecStart=/opt/fanout/bin/fanoutctl pull run " in (units / "fanout-pull@.service").read_text()
    cron = installed / "share/doc/fanout/fanout.cron"
    assert " /opt/fanout/bin/fanoutctl -q pull run " in cron.read_text()
    for path in [*units.iterdir(), cron, installed / "lib/tmpfiles.d/fanout.conf"]:
        assert not re.search(r"/usr/s?bin/fanout|[ =]/etc/fanout", path.read_text()), path


def test_examples_of_recipes_are_no_recipes_where_they_are_installed(scratch, make_daemon):
    make("install", f"DESTDIR={scratch}", "PREFIX=/usr")
    daemon = make_daemon(pulls_dir=scratch / "etc/fanout/pulls.d")
    assert daemon.api.get("/v1/pulls").json()["pulls"] == []


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


def test_demo_shows_what_it_promises_and_cleans_up(scratch, tmp_path):
    out = tmp_path
    done = run([ROOT / "tests/demo.sh", out], env=demo_environment(scratch), cwd=ROOT, timeout=120)
    times = re.search(r"One after another: (\S+) s\.  Fanned out: (\S+) s\.  (\d+) times as fast", done.out)
    assert times, done
    assert float(times[1]) >= 10 > 5 > float(times[2]), done
    assert_table_and_plot(out, done)
    assert "pull cats: complete: 60 pages, 600 items (600 unique), 61 requests, 1 retry" in done.err
    assert '{"id":600,"name":"item 600"' in done.out
    assert re.search(r"^HOST +LIMIT +RATE .*\n\S+ +pull cats 20/2s +20/2s +61 +0 .* kept$", done.out, re.M), done
    assert list(scratch.iterdir()) == [] and processes_of(scratch) == []


def assert_table_and_plot(directory, done):
    assert sorted(path.name for path in directory.iterdir()) == ["pages.csv", "pages.svg"]
    head, *rows = [line.split(",") for line in (directory / "pages.csv").read_text().splitlines()]
    assert head == ["pages", "one_after_another_s", "fanned_out_s"]
    assert [int(pages) for pages, _, _ in rows] == [1, 3, 5, 10, 16]
    for pages, serial, fanned in rows:
        # The server takes 0.5 s: for each page, or for the first and then for all others at once.
        assert float(serial) >= int(pages) * 0.5 and float(fanned) >= min(int(pages), 2) * 0.5
        assert f"{int(pages):5d}  {float(serial):15.2f} s  {float(fanned):8.2f} s" in done.out
    assert float(rows[-1][2]) < 4 < 8 <= float(rows[-1][1]), rows
    plot = ElementTree.parse(directory / "pages.svg").getroot()
    assert plot.tag == "{http://www.w3.org/2000/svg}svg"
    assert [len(line.get("points").split()) for line in plot.findall("{*}polyline")] == [5, 5]


@pytest.mark.parametrize("said", [b"$ fanoutctl submit --concurrency 1", b"$ fanoutctl pull run serial"])
def test_interrupted_demo_cleans_up(scratch, tmp_path, said):
    child = spawn(
        [ROOT / "tests/demo.sh", tmp_path],
        env=demo_environment(scratch),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    for line in child.stdout:
        if line.startswith(said):
            break
    assert processes_of(scratch)
    os.killpg(child.pid, signal.SIGINT)
    rest = child.stdout.read()
    assert child.wait(30) == 130, rest
    assert list(scratch.iterdir()) == [] and list(tmp_path.iterdir()) == []
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


@pytest.mark.parametrize("module", ["job", "sched", "limit", "rules", "retry", "throttle", "plan", "tally", "forecast"])
def test_pure_modules_do_no_io(module):
    files = [p for p in sources("daemon") if re.fullmatch(rf"{module}(_\w+)?\.[ch]", p.name)]
    assert files
    for path in files:
        forbidden = re.search(r"event2/|sys/socket\.h|unistd\.h|fcntl\.h|clock_gettime|clock_(boot|wall)_us\(|\btime\(", path.read_text())
        assert not forbidden, f"{path.relative_to(ROOT)} has {forbidden[0]}"


def test_every_reason_to_wait_is_documented_and_has_words_of_the_client():
    names = re.findall(r'\[WHY_\w+\] = "(\w+)"', (ROOT / "daemon/engine_explain.c").read_text())
    assert len(names) > 15
    api, client = (ROOT / "docs/API.md").read_text(), (ROOT / "cli/explain.c").read_text()
    assert [name for name in names if f"`{name}`" not in api or f'{{"{name}", ' not in client] == []


def test_no_file_is_longer_than_can_be_read():
    lines = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in sources("daemon", "worker", "cli", "lib", "tests/apisim")}
    assert {path: n for path, n in lines.items() if n > 500} == {}


@pytest.mark.parametrize("room", ["lib", "daemon", "worker", "cli"])
def test_every_module_is_listed_and_every_listed_one_is_there(room):
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    listed = re.search(rf"^{room.upper()}_MODULES = (.*)$", text, re.M)[1].split()
    assert sorted(listed) == sorted(p.stem for p in (ROOT / room).glob("*.c"))
