"""make bench: fanout against curl -Z, wget2, a bare libcurl loop and aiohttp, on this machine, in one run.

All fetch the same list of small URLs from one nginx on loopback, which shares the processors with them. The tools take turns
(A B C A B C ...), so that what the machine does besides hits all of them. For fanout the time is from the client's start
to its end: by then every job was submitted, stored, fetched, and its result stored, each durably. The others keep nothing.

Then: how close many slow answers at a time come to the time of one; fanout and others against a strict limit (limits.py);
pulls, of many pages and of large ones (pulls.py); how fast jobs can be submitted, what a million of them cost in memory,
and how soon the daemon answers again after SIGKILL with that many stored. Prints tables; writes build/bench.json.
"""

import argparse
import json
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

from harness.daemon import Daemon  # noqa: E402
from harness.http import UnixConnection  # noqa: E402
from harness.process import BUILD, ROOT, environment, memory_kib, wait_until  # noqa: E402
from harness.servers import Apisim, Nginx  # noqa: E402
from limits import limits, print_limits  # noqa: E402
from pulls import print_pulls, pulls  # noqa: E402

PARALLEL = 64
SLOW_ROUNDS = 5
LINES_PER_REQUEST = 20_000


def say(text="", end="\n"):
    print(text, end=end, flush=True)


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
        "disk": f"{filesystem(directory)}, fdatasync {fdatasync_us(directory)} µs (median)",
        "versions": {
            "fanout": first_line(str(BUILD / "fanoutctl"), "--version"),
            "curl": first_line("curl", "--version"),
            "wget2": first_line("wget2", "--version"),
            "nginx": first_line("/usr/sbin/nginx", "-v"),
            "aiohttp": "aiohttp " + first_line(sys.executable, "-c", "import aiohttp; print(aiohttp.__version__)"),
        },
    }


def filesystem(directory):
    return first_line("stat", "-f", "-c", "%T", str(directory))


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


# ---- Fetching ----


class Fetch:
    """The same list for every tool; each method fetches all of it and returns the seconds it took."""

    def __init__(self, directory, urls, daemon):
        self.urls, self.daemon = urls, daemon
        self.list = directory / "urls"
        self.list.write_text("".join(f"{u}\n" for u in urls))
        self.curl_config = directory / "curlrc"
        self.curl_config.write_text("".join(f'url = "{u}"\noutput = "/dev/null"\n' for u in urls))

    def timed(self, *argv):
        begin = time.perf_counter()
        done = subprocess.run([str(a) for a in argv], capture_output=True, env=environment(), stdin=subprocess.DEVNULL, check=False)
        seconds = time.perf_counter() - begin
        if done.returncode != 0:
            sys.exit(f"{argv[0]} ended with {done.returncode}: {done.stderr[-2000:].decode(errors='replace')}")
        return seconds, done.stdout

    def fanout(self):
        ctl = [BUILD / "fanoutctl", "-S", self.daemon.socket]
        seconds, out = self.timed(*ctl, "submit", "-p", "--wait", "-i", self.list)
        batch = json.loads(self.timed(*ctl, "status", out.split()[0].decode(), "-f", "json")[1])
        if batch["counts"]["done"] != len(self.urls):
            sys.exit(f"not everything is done: {batch}")
        return seconds

    def curl(self):
        return self.timed("curl", "-q", "-s", "-Z", "--parallel-max", PARALLEL, "-K", self.curl_config)[0]

    def wget2(self):
        return self.timed("wget2", "--no-config", "-q", "--max-threads", PARALLEL, "-O", "/dev/null", "-i", self.list)[0]

    def bare(self, processes):
        return self.timed(BUILD / "bench/bare", "-p", PARALLEL, "-n", processes, self.list)[0]


def fetch_in_turns(fetch, rounds):
    tools = {
        "fanout": fetch.fanout,
        "curl -Z": fetch.curl,
        "wget2": fetch.wget2,
        "bare loop, 1 process": lambda: fetch.bare(1),
        "bare loop, 2 processes": lambda: fetch.bare(2),
    }
    times = {name: [] for name in tools}
    for i in range(rounds):
        for name, tool in tools.items():
            times[name].append(tool())
        say(f"round {i + 1} of {rounds}: " + ", ".join(f"{name} {t[-1]:.3f} s" for name, t in times.items()))
    return times


def summarize(times, count):
    curl = statistics.median(times["curl -Z"])
    return {
        name: {
            "seconds": t,
            "median_s": statistics.median(t),
            "min_s": min(t),
            "max_s": max(t),
            "per_s": count / statistics.median(t),
            "times_curl": curl / statistics.median(t),
            # Of each round on its own: what a slow minute of the machine did to both is out of it.
            "times_curl_by_round": [c / x for c, x in zip(times["curl -Z"], t)],
        }
        for name, t in times.items()
    }


def print_table(rows, count):
    say(f"\n{count} small GETs, {PARALLEL} at a time       median s   min – max s         per s   × curl -Z (by round)")
    for name, r in rows.items():
        by_round = " ".join(f"{x:.2f}" for x in r["times_curl_by_round"])
        spread = f"{r['min_s']:.3f} – {r['max_s']:.3f}"
        say(f"  {name:<34} {r['median_s']:>9.3f}   {spread:<17} {r['per_s']:>8.0f}   {r['times_curl']:.2f} ({by_round})")


# ---- Waiting side by side ----


def slow(daemon, apisim):
    """100 answers that take a second each, all at a time: the seconds of the client, of several rounds."""
    times = []
    for _ in range(SLOW_ROUNDS):
        argv = [BUILD / "fanoutctl", "-S", daemon.socket, "submit", "-p", "--wait", "--concurrency", "100", "-n", "100"]
        begin = time.perf_counter()
        subprocess.run([*argv, apisim.url + "/delay/1"], capture_output=True, env=environment(), check=True)
        times.append(time.perf_counter() - begin)
    return {"seconds": times, "median_s": statistics.median(times)}


def print_slow(r):
    times = " ".join(f"{t:.3f}" for t in r["seconds"])
    say(f"\n100 answers of 1 s each, 100 at a time, submitted, stored and reported: {r['median_s']:.3f} s (median of {times})")


# ---- Submitting, and holding many ----


def job_lines(url, count, size):
    """NDJSON bodies of `size` jobs each."""
    return [
        b"".join(b'{"url":"%s/%d"}\n' % (url.encode(), i) for i in range(at, min(at + size, count)))
        for at in range(0, count, size)
    ]


def post(connection, path, body, status):
    connection.request("POST", path, body)
    response = connection.getresponse()
    text = response.read()
    if response.status not in status:
        sys.exit(f"POST {path}: {response.status} {text[:500].decode(errors='replace')}")
    return json.loads(text)


def bulk(daemon, url, count):
    """Submits `count` jobs to a held batch; then lets it go, slowly; then kills and restarts the daemon. Seconds, and the
    daemon's memory in KiB at each step."""
    bodies = job_lines(url, count, LINES_PER_REQUEST)
    before = memory_kib(daemon.pid)
    connection = UnixConnection(daemon.socket, 120)
    batch = post(connection, "/v1/batches", json.dumps({"hold": True, "concurrency": 1}).encode(), (201,))["batch"]
    begin = time.perf_counter()
    for body in bodies:
        post(connection, f"/v1/batches/{batch}/jobs", body, (201,))
    seconds = time.perf_counter() - begin
    held = memory_kib(daemon.pid)
    post(connection, f"/v1/batches/{batch}/close", b"", (200,))
    wait_until(lambda: daemon.api.get(f"/v1/batches/{batch}").json()["counts"]["done"] >= 20, 60, "20 of them are done")
    result = {
        "jobs": count,
        "seconds": seconds,
        "per_s": count / seconds,
        "rss_before_kib": before,
        "rss_held_kib": held,
        "rss_queued_kib": memory_kib(daemon.pid),
        "rss_peak_kib": memory_kib(daemon.pid, "VmHWM"),
    }
    connection.close()
    result["ready_s"] = ready_again(daemon, batch, count)
    daemon.api.post(f"/v1/batches/{batch}/cancel")
    return result


def ready_again(daemon, batch, count):
    """SIGKILL, and the seconds from the start of the next process until it answers with all that is stored."""
    daemon.kill()
    begin = time.perf_counter()
    daemon.start()
    seconds = time.perf_counter() - begin
    counts = daemon.api.get(f"/v1/batches/{batch}").json()["counts"]
    if sum(counts.values()) != count:
        sys.exit(f"not all of {count} jobs are there after SIGKILL: {counts}")
    return seconds


def bulk_by_client(daemon, directory, url, count):
    """The same with fanoutctl, from a file; one job at a time is fetched meanwhile."""
    path = directory / "many"
    path.write_text("".join(f"{url}/{i}\n" for i in range(count)))
    begin = time.perf_counter()
    done = subprocess.run(
        [BUILD / "fanoutctl", "-S", daemon.socket, "submit", "-p", "--concurrency", "1", "-i", path],
        capture_output=True,
        env=environment(),
        check=True,
        text=True,
    )
    seconds = time.perf_counter() - begin
    daemon.api.post(f"/v1/batches/{done.stdout.strip()}/cancel")
    return {"jobs": count, "seconds": seconds, "per_s": count / seconds}


def print_bulk(r, client):
    say(f"\n{r['jobs']} jobs submitted over the API, each request durable before its answer: {r['seconds']:.2f} s, {r['per_s']:.0f} jobs/s")
    say(f"{client['jobs']} jobs submitted by fanoutctl from a file of URLs: {client['seconds']:.2f} s, {client['per_s']:.0f} jobs/s")
    mib = {k: f"{v / 1024:.1f} MiB" for k, v in r.items() if k.startswith("rss_")}
    say(f"the daemon's memory: {mib['rss_before_kib']} before, {mib['rss_held_kib']} with {r['jobs']} held,", end=" ")
    say(f"{mib['rss_queued_kib']} with them queued, {mib['rss_peak_kib']} at most")
    say(f"after SIGKILL with these {r['jobs']} jobs stored it answers again in {r['ready_s']:.2f} s")


# ---- All of it ----


def disk_daemon(directory):
    """A daemon whose state is on the disk of the build directory, not on what may be a tmpfs."""
    directory.mkdir(mode=0o700)
    daemon = Daemon({"state_dir": directory, "workers": os.cpu_count()})
    daemon.state = directory
    return daemon.start()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--urls", type=int, default=40_000)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--pages", type=int, default=500, help="large ones")
    options = parser.parse_args()

    BUILD.mkdir(exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=BUILD))
    servers = []
    try:
        about = machine(directory)
        say(f"{about['processors']} × {about['cpu']}, {about['memory_gib']} GiB, Linux {about['kernel']}, {about['system']}; {about['disk']}")
        say("; ".join(about["versions"].values()) + "\n")
        servers.append(nginx := Nginx(workers=1))
        servers.append(daemon := disk_daemon(directory / "state"))
        fetch = Fetch(directory, [f"{nginx.url}/{i}" for i in range(options.urls)], daemon)
        rows = summarize(fetch_in_turns(fetch, options.rounds), options.urls)
        print_table(rows, options.urls)

        servers.append(apisim := Apisim())
        print_slow(slowly := slow(daemon, apisim))
        print_limits(limited := limits(apisim, daemon, say), say)

        servers.append(puller := disk_daemon(directory / "state-pulls"))
        print_pulls(pulled := pulls(puller, apisim, options.pages), say)

        servers.append(holder := disk_daemon(directory / "state-bulk"))
        held = bulk(holder, apisim.url + "/delay/0.01?", options.jobs)
        client = bulk_by_client(holder, directory, apisim.url + "/delay/0.01?", options.jobs // 4)
        print_bulk(held, client)
        report = BUILD / "bench.json"
        report_of = {"machine": about, "fetch": rows, "slow": slowly, "limits": limited, "pulls": pulled, "bulk": held, "bulk_by_client": client}
        report.write_text(json.dumps(report_of, indent=1) + "\n")
        say(f"\nwritten to {report.relative_to(ROOT)}")
    finally:
        for server in reversed(servers):
            server.close()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
