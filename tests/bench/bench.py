"""make bench: fanout against curl -Z, wget2 and a bare libcurl loop, on this machine, in one run; in one table at the end.

    fetch     40 000 small GETs (fetching.py)      status    a status request meanwhile
    latency   one URL                              slow      100 and 10 000 answers of a second each (waiting.py)
    submit    jobs/s from a file                   results   of a million jobs, streamed
    large     a body of 1 GB                       queued    ten million queued jobs (scale.py)
    hosts     a thousand hosts                     limits    a strict limit (limits.py)
    pulls     many pages, and large ones (pulls.py)

Each target is a row: our figure, the other side's, their ratio round by round, and whether it is kept. The record is
build/bench.json; tests/bench/table.py makes Markdown of it. Parts alone: --only latency,slow
"""

import argparse
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import fetching  # noqa: E402
import scale  # noqa: E402
import table  # noqa: E402
import waiting  # noqa: E402
from common import disk_daemon, row, say  # noqa: E402
from harness.process import BUILD, ROOT  # noqa: E402
from harness.servers import Apisim, Nginx  # noqa: E402
from limits import bound_s, limits, print_limits  # noqa: E402
from pulls import print_pulls, pulls  # noqa: E402


def first_line(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).splitlines()[0].strip()
    except (OSError, IndexError):
        return "?"


def machine(directory):
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "processors": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "system": first_line("sh", "-c", '. /etc/os-release; echo "$PRETTY_NAME"'),
        "disk": f"{first_line('stat', '-f', '-c', '%T', str(directory))}, fdatasync {fdatasync_us(directory)} µs (median)",
        "versions": {
            "fanout": first_line(str(BUILD / "fanoutctl"), "--version"),
            "curl": " ".join(first_line("curl", "--version").split()[:2]),
            "wget2": first_line("wget2", "--version").split(" - ")[0],
            "nginx": first_line("/usr/sbin/nginx", "-v"),
            "aiohttp": "aiohttp " + first_line(sys.executable, "-c", "import aiohttp; print(aiohttp.__version__)"),
        },
    }


def fdatasync_us(directory):
    path, times = directory / "sync", []
    with open(path, "wb", buffering=0) as file:
        for _ in range(100):
            file.write(bytes(4096))
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begin)
    path.unlink()
    return round(statistics.median(times) * 1e6)


class Bench:
    """What the parts need, made when the first asks for it; each part adds rows, and details to the record."""

    def __init__(self, directory, options):
        self.directory, self.options = directory, options
        self.servers, self.made = [], {}
        self.rows, self.details, self.seconds = [], {}, {}

    def get(self, name, make):
        if name not in self.made:
            self.made[name] = make()
            self.servers.append(self.made[name])
        return self.made[name]

    @property
    def nginx(self):
        www = self.directory / "www"
        www.mkdir(exist_ok=True)
        self.directory.chmod(0o755)
        return self.get("nginx", lambda: Nginx(workers=1, bind="0.0.0.0", files=www))

    @property
    def apisim(self):
        return self.get("apisim", Apisim)

    def daemon(self, name):
        return self.get(f"daemon {name}", lambda: disk_daemon(self.directory / f"state-{name}"))

    def drop(self, name):
        """A daemon that is not needed any more: its memory and its files are given back."""
        daemon = self.made.pop(f"daemon {name}")
        self.servers.remove(daemon)
        daemon.close()
        shutil.rmtree(self.directory / f"state-{name}", ignore_errors=True)

    @property
    def lists(self):
        if "lists" not in self.made:
            self.made["lists"] = fetching.Lists(self.directory, [self.nginx.url], self.options.urls)
        return self.made["lists"]

    # ---- The parts ----

    def fetch(self):
        # A round takes a few seconds, and is as noisy as any.
        rows, self.details["fetch"] = fetching.small(self.daemon("main"), self.lists, 3 * self.options.rounds)
        return rows

    def status(self):
        return fetching.status(self.daemon("main"), self.lists, self.get("idle", Nginx).url, self.options.rounds)

    def latency(self):
        return fetching.latency(self.daemon("main"), self.nginx.url + "/one")

    def slow(self):
        daemon = self.daemon("main")
        rows = waiting.hundred(daemon, self.apisim, self.options.rounds)
        return rows + waiting.ten_thousand(daemon, Apisim, self.directory, self.options.rounds)

    def submit(self):
        url = self.apisim.url + "/delay/0.01?"
        return fetching.submission(self.daemon("submit"), self.directory, url, self.options.done // 4, self.options.rounds)

    def results(self):
        daemon = self.daemon("results")
        batch, per_s = fetching.many_done(daemon, self.directory, self.nginx.url, self.options.done)
        self.details["many_done_per_s"] = per_s
        rows = fetching.results(daemon, self.lists, batch, min(3, self.options.rounds))
        self.drop("results")
        return rows

    def large(self):
        rows = waiting.large(self.daemon("large"), self.nginx, self.directory, self.options.rounds)
        self.drop("large")
        return rows

    def queued(self):
        url = self.nginx.url
        rows = scale.queued(self.daemon("crowded"), self.daemon("calm"), url, self.options.queued, self.options.rounds)
        self.drop("crowded")
        return rows

    def hosts(self):
        daemon = self.daemon("hosts")
        port, rounds = self.nginx.port, self.options.rounds
        lists = fetching.Lists(self.directory, scale.host_urls(port), self.options.urls // 2, "hosts")
        rows = scale.hosts_list(self.daemon("main"), lists, rounds)
        rows += scale.hosts(daemon, self.daemon("calm"), port, self.options.queued // scale.HOSTS, rounds)
        self.drop("hosts")
        return rows

    def limits(self):
        limited = self.details["limits"] = limits(self.apisim, self.daemon("main"), say)
        print_limits(limited, say)
        ours = limited["fanout"]
        return [
            row("250 requests at 100 per 6 s, 0.3 s of jitter: refused", [ours["refused"]], "", ("<=", 0)),
            row("the same: seconds", [ours["seconds"]], "s", ("<=", bound_s(ours))),
        ]

    def pulls(self):
        pulled = self.details["pulls"] = pulls(self.daemon("pulls"), self.apisim, self.options.pages)
        print_pulls(pulled, say)
        self.drop("pulls")
        return []

    def run(self, parts):
        for name in parts:
            say(f"\n== {name}")
            begin = time.perf_counter()
            self.rows += getattr(self, name)()
            self.seconds[name] = time.perf_counter() - begin
            say(f"== {name}: {self.seconds[name]:.1f} s")

    def close(self):
        for server in reversed(self.servers):
            server.close()


PARTS = ("fetch", "latency", "slow", "status", "submit", "large", "results", "queued", "hosts", "limits", "pulls")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between them")
    parser.add_argument("--urls", type=int, default=40_000)
    parser.add_argument("--done", type=int, default=1_000_000, help="jobs whose results are streamed")
    parser.add_argument("--queued", type=int, default=10_000_000, help="jobs that are queued")
    parser.add_argument("--pages", type=int, default=200, help="large ones")
    options = parser.parse_args()
    options.parts = options.only.split(",")
    unknown = [p for p in options.parts if p not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return options


def main():
    options = arguments()
    BUILD.mkdir(exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=BUILD))
    bench = Bench(directory, options)
    record = {"load_before": os.getloadavg()[0], "rounds": options.rounds}
    try:
        record["machine"] = machine(directory)
        say(table.describe(record["machine"]))
        begin = time.perf_counter()
        bench.run(options.parts)
        record.update(seconds=time.perf_counter() - begin, parts=bench.seconds, rows=bench.rows, details=bench.details)
        (BUILD / "bench.json").write_text(fetching.dump(record))
        say("\n" + table.text(bench.rows))
        say(f"\n{record['seconds']:.0f} s; written to {os.path.relpath(BUILD / 'bench.json', ROOT)}")
    finally:
        bench.close()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
