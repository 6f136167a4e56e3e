"""A limit is kept as the server counts it, whatever happens in between; what a server says of its limits is heeded.

The strict server (tests/apisim/README.md, Limits) counts a request when it arrives, after a delay of the network's own. What
is asserted of time is read from its record.
"""

import os
import random
import signal
import socket
import threading
import time
from datetime import datetime, timedelta

import pytest

from harness.process import wait_until

S = 1_000_000
EACH_WAY = {"jitter_in": "uniform:0:0.15", "jitter_out": "uniform:0:0.15"}


def when(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def rule(match, name="api", **what):
    return {"name": name, "match": match, **what}


def urls(limit, n, query=""):
    return f"{limit.url}/[1-{n}]{query}"


def counts(daemon, batch):
    return daemon.api.get(f"/v1/batches/{batch}").json()["counts"]


def rows_of(daemon, batch):
    return daemon.ctl("results", batch, "-f", "ndjson").rows()


def assert_all_done(daemon, batch, n):
    rows = rows_of(daemon, batch)
    assert [row["state"] for row in rows] == ["done"] * n, [row for row in rows if row["state"] != "done"][:3]
    return rows


def assert_kept(limit, arrivals):
    """No refusal, and just so many arrivals."""
    stats = limit.stats()
    assert stats["refused"] == 0 and stats["accepted"] == arrivals, stats
    return stats


def submit(daemon, *args, wait=True, check=0):
    """Submits, and waits for the end; the batch's id."""
    batch = daemon.ctl("submit", "-p", *args).out.strip()
    if wait:
        daemon.ctl("wait", batch, check=check, timeout=150)
    return batch


# ---- A limit is kept ----


def test_250_jobs_at_100_in_any_6_seconds_are_fetched_without_one_refusal(make_daemon, apisim):
    limit = apisim.limit("strict", n=100, window=6, jitter_in="uniform:0:0.4", jitter_out="uniform:0:0.4")
    daemon = make_daemon(limits=[rule(limit.key, rate="100/6s")])
    batch = submit(daemon, "--concurrency", "100", urls(limit, 250))
    assert all(row["attempts"] == 1 for row in assert_all_done(daemon, batch, 250))
    stats = assert_kept(limit, 250)
    assert stats["worst"] <= 100
    # How close it comes to the least possible is measured by `make bench`.
    assert stats["last_answered_us"] - stats["first_received_us"] >= 2 * 6 * S


@pytest.mark.parametrize(
    "kind, source",
    [
        ("sliding", "configuration"),
        ("sliding", "limits set"),
        ("sliding", "submit --rate"),
        ("fixed", "configuration"),
        ("bucket", "configuration"),
    ],
)
def test_a_limit_is_kept_wherever_it_was_set_and_however_it_is_counted(make_daemon, apisim, source, kind):
    limit = apisim.limit("strict", kind=kind, n=15, window=1, **EACH_WAY)
    daemon = make_daemon(limits=[rule(limit.key, rate="15/1s")] if source == "configuration" else None)
    if source == "limits set":
        daemon.ctl("limits", "set", limit.key, "--rate", "15/1s")
    batch = submit(daemon, *(["--rate", "15/1s"] if source == "submit --rate" else []), urls(limit, 40))
    assert_all_done(daemon, batch, 40)
    assert assert_kept(limit, 40)["worst"] <= 15


def test_a_limit_is_kept_through_heavy_tailed_delays(make_daemon, apisim):
    tail = "pareto:0.02:1.1:1.2"
    limit = apisim.limit("strict", n=15, window=1, jitter_in=tail, jitter_out=tail, seed=5)
    daemon = make_daemon(limits=[rule(limit.key, rate="15/1s")])
    assert_all_done(daemon, submit(daemon, urls(limit, 40)), 40)
    assert assert_kept(limit, 40)["slowest_us"] > 0.5 * S


def test_a_limit_is_kept_through_five_kills_of_daemon_and_workers(make_daemon, apisim):
    rng = random.Random(3)
    limit = apisim.limit("strict", n=30, window=2, jitter_in="uniform:0:0.4", jitter_out="uniform:0:0.4")
    daemon = make_daemon(limits=[rule(limit.key, rate="30/2s")])
    batch = submit(daemon, "--concurrency", "6", urls(limit, 75), wait=False)
    for turn in range(5):
        goal = 10 + 10 * turn + rng.randrange(5)
        wait_until(lambda: limit.stats()["arrivals"] >= goal, 60, f"{goal} requests have arrived")
        if turn % 2:
            for worker in daemon.workers():
                os.kill(worker, signal.SIGKILL)
        else:
            daemon.kill()
            daemon.start()
    daemon.ctl("wait", batch, timeout=150)
    rows = assert_all_done(daemon, batch, 75)
    stats = limit.stats()
    assert stats["refused"] == 0 and stats["worst"] <= 30, stats
    (told,) = daemon.ctl("audit", limit.key, "-f", "json").json()
    assert (told["verdict"], told["open"]) == ("kept", 0), told
    # What was open at a kill is asked for again, and may have arrived; nothing else is asked for twice.
    again = sum(row["attempts"] - 1 for row in rows)
    assert 0 < again <= 5 * 6 and stats["arrivals"] <= 75 + again


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_was_sent_before_a_restart_counts_after_it_though_its_batch_was_removed(make_daemon, apisim, end):
    limit = apisim.limit("strict", n=10, window=3)
    daemon = make_daemon(limits=[rule(limit.key, rate="10/3s")])
    batch = submit(daemon, urls(limit, 10))
    daemon.ctl("rm", batch)
    getattr(daemon, end)()
    daemon.start()
    assert_all_done(daemon, submit(daemon, urls(limit, 8)), 8)
    assert_kept(limit, 18)


@pytest.mark.parametrize("how", ["rates of one rule", "two rules"])
def test_of_two_limits_both_are_kept(make_daemon, apisim, how):
    limit = apisim.limit("strict", n=10, window=2, **EACH_WAY)
    if how == "two rules":
        rules = [rule(limit.key, rate="6/1s"), rule("127.0.0.*", "all", rate="10/2s")]
    else:
        rules = [rule(limit.key, rates=["6/1s", "10/2s"])]
    daemon = make_daemon(limits=rules)
    assert_all_done(daemon, submit(daemon, urls(limit, 18)), 18)
    assert_kept(limit, 18)
    assert limit.stats(window=1)["worst"] <= 6


def test_a_batch_with_a_rate_of_its_own_counts_against_the_rule_too(make_daemon, apisim):
    limit = apisim.limit("strict", n=12, window=1)
    daemon = make_daemon(limits=[rule(limit.key, rate="12/1s")])
    slow = submit(daemon, "--rate", "4/1s", urls(limit, 9, "?who=slow"), wait=False)
    fast = submit(daemon, urls(limit, 30, "?who=fast"))
    daemon.ctl("wait", slow)
    assert_all_done(daemon, slow, 9)
    assert_all_done(daemon, fast, 30)
    assert_kept(limit, 39)
    times = [a["counted_us"] for a in limit.stats(list=True)["list"] if "who=slow" in a["target"]]
    assert len(times) == 9
    assert all(sum(t <= u < t + S for u in times) <= 4 for t in times)


def test_a_rule_with_a_path_limits_that_path_and_nothing_else(make_daemon, apisim):
    slow = apisim.limit("slow", n=8, window=1000)
    free = apisim.limit("free", kind="open")
    daemon = make_daemon(limits=[rule(f"{slow.key}/limit/slow/*", rate="8/1000s")])
    first = submit(daemon, urls(slow, 9), wait=False)
    second = submit(daemon, urls(free, 100))
    assert_all_done(daemon, second, 100)
    wait_until(lambda: counts(daemon, first)["done"] == 8, what="the limited path has what it may")
    assert_kept(slow, 8)
    daemon.ctl("cancel", first)


def test_a_redirect_counts_against_the_limit_of_the_host_it_leads_to(make_daemon, apisim):
    target = apisim.limit("strict", host=2, n=10, window=1, **EACH_WAY)
    daemon = make_daemon(limits=[rule(target.key, rate="10/1s")])
    batch = submit(daemon, f"{apisim.url}/redirect-to?url={target.url}/x&n=[1-25]")
    rows = assert_all_done(daemon, batch, 25)
    assert {row["attempts"] for row in rows} == {2}
    assert_kept(target, 25)


def test_concurrency_of_a_rule_holds_over_all_batches(make_daemon, gate):
    daemon = make_daemon(limits=[rule(f"127.0.0.1:{gate.port}", concurrency=3)])
    batches = [submit(daemon, f"{gate.url}/[1-12]", wait=False) for _ in range(2)]
    wait_until(lambda: len(gate.held) == 3, what="three run")
    gate.open()
    for batch in batches:
        daemon.ctl("wait", batch)
        assert_all_done(daemon, batch, 12)
    assert gate.peak == 3


def test_pace_spreads_requests_evenly(make_daemon, apisim):
    limit = apisim.limit("any", kind="open")
    daemon = make_daemon(limits=[rule(limit.key, rate="10/1s", pace=True)])
    batch = submit(daemon, urls(limit, 12))
    assert_all_done(daemon, batch, 12)
    # Grants are 100 ms apart, and the first is not before its submission; how long each takes from there is not the daemon's
    # to say.
    submitted = when(daemon.api.get(f"/v1/batches/{batch}").json()["submitted_at"])
    times = sorted(when(row["sent_at"]) for row in daemon.api.get(f"/v1/audit?host={limit.key}").rows())
    assert len(times) == 12
    assert all(at - submitted >= timedelta(seconds=i / 10) for i, at in enumerate(times)), (submitted, times)


# ---- Nobody else waits for it ----


def test_another_host_does_not_wait_for_a_limited_one(make_daemon, apisim):
    slow, free = apisim.limit("slow", n=5, window=1000), apisim.limit("free", host=2, kind="open")
    daemon = make_daemon(limits=[rule(slow.key, rate="5/1000s")])
    lines = "".join(f"{slow.url}/{i}\n" for i in range(6)) + "".join(f"{free.url}/{i}\n" for i in range(200))
    batch = daemon.ctl("submit", "-p", "-i", "-", input=lines).out.strip()
    wait_until(lambda: counts(daemon, batch)["done"] == 205, 20, "all but the sixth for the limited host are done")
    assert_kept(slow, 5)
    assert free.stats()["accepted"] == 200
    daemon.ctl("cancel", batch)


def test_a_small_batch_does_not_wait_for_a_big_one_on_the_same_limit(make_daemon, apisim):
    limit = apisim.limit("strict", n=20, window=1)
    daemon = make_daemon(limits=[rule(limit.key, rate="20/1s")])
    big = submit(daemon, urls(limit, 2000, "?who=big"), wait=False)
    wait_until(lambda: limit.stats()["arrivals"] >= 20, what="the big one has used a whole window")
    small = submit(daemon, urls(limit, 10, "?who=small"))
    assert_all_done(daemon, small, 10)
    submitted = when(daemon.api.get(f"/v1/batches/{small}").json()["submitted_at"]).timestamp() - time.time() + time.clock_gettime(time.CLOCK_BOOTTIME)
    order = [a for a in limit.stats(list=True)["list"] if a["received_us"] > submitted * S]
    last = max(i for i, a in enumerate(order, 1) if "who=small" in a["target"])
    # Alone it would be 10 requests; beside the other it is twice as many, and one window that was granted already.
    assert last <= 2 * 10 + 20, f"the last of the small batch was request {last} after its submission"
    daemon.ctl("cancel", big)
    assert limit.stats()["refused"] == 0


@pytest.mark.parametrize("high, low, share", [(5, 5, 0.5), (7, 5, 0.8), (9, 0, 512 / 513)])
def test_batches_on_one_limit_share_it_by_their_priorities(make_daemon, apisim, high, low, share):
    limit = apisim.limit("strict", n=50, window=1)
    daemon = make_daemon(limits=[rule(limit.key, rate="50/1s")])
    batches = [submit(daemon, "--priority", p, urls(limit, 1000, f"?who={who}"), wait=False) for p, who in ((high, "high"), (low, "low"))]
    # A window may have been used up before the second batch came; what was in flight then may arrive in any order.
    wait_until(lambda: any("who=low" in a["target"] for a in limit.stats(list=True)["list"]) or share > 0.9, 60, "both go")
    before = max(100, limit.stats()["arrivals"])
    wait_until(lambda: limit.stats()["arrivals"] >= before + 100, 60, "a hundred more have arrived")
    counted = limit.stats(list=True)["list"][before : before + 100]
    of_high = sum("who=high" in a["target"] for a in counted)
    assert abs(of_high - 100 * share) <= 5, f"{of_high} of 100"
    for batch in batches:
        daemon.ctl("cancel", batch)
    assert limit.stats()["refused"] == 0


# ---- What a server says ----


def refusing(apisim, times=1, **options):
    """A server that refuses at first, and then has no limit."""
    return apisim.limit("fickle", **{"kind": "open", "n": 1000, "refuse_first": times, "tell": 1, **options})


@pytest.mark.parametrize(
    "form",
    [
        {"retry_after": "seconds"},
        {"retry_after": "date"},
        {"retry_after": "seconds", "code": 503},
        {"retry_after": "none", "ratelimit": "draft"},
        {"retry_after": "none", "x_ratelimit": "epoch"},
        {"retry_after": "none", "x_ratelimit": "epoch-ms"},
        {"retry_after": "none", "x_ratelimit": "delta"},
    ],
    ids=lambda form: " ".join(f"{k}={v}" for k, v in form.items()),
)
def test_a_refusal_pauses_the_host_costs_no_attempt_and_one_probe_goes_first(daemon, apisim, form):
    limit = refusing(apisim, **form)
    first = submit(daemon, "--max-attempts", "1", limit.url + "/first", wait=False)
    wait_until(lambda: limit.stats()["last_answered_us"], what="the refusal is sent")
    rest = submit(daemon, "--max-attempts", "1", "--concurrency", "10", urls(limit, 20, "?delay=0.3"))
    daemon.ctl("wait", first)
    assert assert_all_done(daemon, first, 1)[0]["attempts"] == 2
    assert_all_done(daemon, rest, 20)
    refused, probe, *others = limit.stats(list=True)["list"]
    assert [refused["accepted"], probe["accepted"]] == [False, True] and len(others) == 20
    assert probe["received_us"] - refused["answered_us"] >= S
    assert min(a["received_us"] for a in others) >= probe["answered_us"], "more than one request went as a probe"
    assert apisim.stats()["peak_concurrent"] > 1, "after the probe the rest goes side by side again"


@pytest.mark.parametrize("form", ["none", "garbage"])
def test_a_refusal_without_a_usable_time_is_tried_again_all_the_same(daemon, apisim, form):
    limit = refusing(apisim, 2, retry_after=form)
    batch = submit(daemon, "--max-attempts", "1", "--concurrency", "1", urls(limit, 5))
    assert_all_done(daemon, batch, 5)
    assert limit.stats()["arrivals"] == 7


def waits_for_pause(daemon, batch):
    """What is loaded waits for its turn first; that shows it the pause."""
    waits = daemon.api.get(f"/v1/batches/{batch}/explain").json()["waits"]
    return next((w for w in waits if w["why"] == "pause"), None)


def test_an_absurd_time_to_wait_is_cut_and_the_operator_can_lift_the_pause(daemon, apisim):
    limit = refusing(apisim, tell=30 * 86400)
    batch = submit(daemon, limit.url + "/x", wait=False)
    (host,) = wait_until(lambda: daemon.api.get(f"/v1/limits?host={limit.key}").json()["hosts"], what="the host is paused")
    assert host["host"] == limit.key and host["refusals"] == 1
    (attempt,) = daemon.api.get(f"/v1/jobs/{batch}.1/attempts").json()["attempts"]
    paused = when(host["paused_until"]) - when(attempt["ended_at"])
    assert timedelta(minutes=59) < paused < timedelta(minutes=61), paused
    wait = wait_until(lambda: waits_for_pause(daemon, batch), what="it waits for the pause")
    assert (wait["host"], wait["text"]) == (limit.key, "the host refused with 429 and told for how long")
    assert abs(when(wait["until"]) - when(host["paused_until"])) < timedelta(milliseconds=1)
    assert limit.key in daemon.ctl("limits").out
    assert daemon.api.post(f"/v1/limits/resume?host={limit.key}").status == 200
    daemon.ctl("wait", batch)
    assert_all_done(daemon, batch, 1)


def test_after_a_pause_that_was_lifted_one_request_goes_first_and_when_it_is_refused_the_host_stays_paused(daemon, apisim):
    limit = refusing(apisim, 2, tell=3600)
    first = submit(daemon, limit.url + "/first", wait=False)
    wait_until(lambda: hosts(daemon, limit), what="the host is paused")
    rest = submit(daemon, "--concurrency", "10", urls(limit, 20, "?delay=0.3"), wait=False)
    wait_until(lambda: waits_for_pause(daemon, rest), what="the rest waits for the pause")
    daemon.ctl("limits", "resume", limit.key)
    again = wait_until(lambda: [h for h in hosts(daemon, limit) if h["refusals"] == 2], what="the probe is refused")
    assert again[0]["probing"] and again[0]["paused_until"]
    assert limit.stats()["arrivals"] == 2, "only one request went when the pause was lifted"
    daemon.ctl("limits", "resume", limit.key)
    daemon.ctl("wait", first)
    daemon.ctl("wait", rest)
    assert_all_done(daemon, rest, 20)
    *refused, probe = limit.stats(list=True)["list"][:3]
    others = limit.stats(list=True)["list"][3:]
    assert [a["accepted"] for a in (*refused, probe)] == [False, False, True] and len(others) == 20
    assert min(a["received_us"] for a in others) >= probe["answered_us"], "more than one request went first"
    assert apisim.stats()["peak_concurrent"] > 1, "after it the rest goes side by side"


def test_a_window_that_a_server_tells_is_kept_and_shown_as_learned(daemon, apisim):
    limit = apisim.limit("strict", n=10, window=1, ratelimit="draft", **EACH_WAY)
    submit(daemon, limit.url + "/first")
    assert_all_done(daemon, submit(daemon, urls(limit, 25)), 25)
    assert_kept(limit, 26)
    (host,) = daemon.api.get(f"/v1/limits?host={limit.key}").json()["hosts"]
    assert host["learned"]["rate"] == "10/1s" and "10/1s" in daemon.ctl("limits").out


def test_what_a_server_tells_loosens_no_rule(make_daemon, apisim):
    limit = apisim.limit("strict", n=1000, window=1, ratelimit="draft", x_ratelimit="delta")
    daemon = make_daemon(limits=[rule(limit.key, rate="10/1s")])
    submit(daemon, limit.url + "/first")
    assert_all_done(daemon, submit(daemon, urls(limit, 20)), 20)
    assert limit.stats()["worst"] <= 10


# ---- What a server said is not forgotten over a restart ----


def hosts(daemon, limit):
    return daemon.api.get(f"/v1/limits?host={limit.key}").json()["hosts"]


def test_a_pause_outlives_the_daemon(daemon, apisim):
    limit, free = refusing(apisim, tell=3600), apisim.limit("free", host=2, kind="open")
    batch = submit(daemon, limit.url + "/x", wait=False)
    (before,) = wait_until(lambda: hosts(daemon, limit), what="the host is paused")
    wait_until(lambda: [a["status"] for a in daemon.api.get(f"/v1/jobs/{batch}.1/attempts").json()["attempts"]] == [429], what="the refusal is on disk")
    for end in (daemon.kill, daemon.stop):
        end()
        daemon.start()
        (after,) = hosts(daemon, limit)
        assert (after["probing"], after["refusals"]) == (True, before["refusals"])
        assert abs(when(after["paused_until"]) - when(before["paused_until"])) < timedelta(seconds=1)
        assert wait_until(lambda: waits_for_pause(daemon, batch), what="it waits for the pause")["host"] == limit.key
        assert_all_done(daemon, submit(daemon, urls(free, 20)), 20)
    assert limit.stats()["arrivals"] == 1, "others were served meanwhile, and this host was asked"
    daemon.ctl("limits", "resume", limit.key)
    daemon.ctl("wait", batch)
    assert limit.stats()["arrivals"] == 2
    daemon.kill()
    daemon.start()
    assert hosts(daemon, limit) == [], "a pause that was lifted came back"


def test_after_a_restart_nothing_arrives_before_the_pause_is_over_and_then_one_probe_goes(make_daemon, apisim):
    limit = refusing(apisim, tell=4)
    daemon = make_daemon()
    first = submit(daemon, limit.url + "/first", wait=False)
    wait_until(lambda: hosts(daemon, limit), what="the host is paused")
    daemon.kill()
    daemon.start()
    rest = submit(daemon, "--concurrency", "10", urls(limit, 20, "?delay=0.3"))
    daemon.ctl("wait", first)
    assert_all_done(daemon, rest, 20)
    refused, *others = limit.stats(list=True)["list"]
    assert len(others) == 21
    assert min(a["received_us"] for a in others) - refused["answered_us"] >= 4 * S
    wait_until(lambda: hosts(daemon, limit) == [], 30, "the host is forgotten")
    daemon.restart()
    assert hosts(daemon, limit) == []


HANGING_SYNC = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int fdatasync(int fd)
{
	while (access(getenv("HANG"), F_OK) == 0)
		usleep(10000);
	return syscall(SYS_fdatasync, fd);
}
"""


def test_a_pause_that_was_told_outlives_a_kill_though_the_disk_was_slow(make_daemon, apisim, preload, scratch):
    """The refusal comes while the sync for another batch hangs: what is told of it must not wait for that one's end."""
    shim, hang = preload(HANGING_SYNC), scratch / "hang"
    daemon = make_daemon(env={"HANG": str(hang)} | {k: shim[k] for k in ("LD_PRELOAD", "ASAN_OPTIONS")})
    limit = refusing(apisim, tell=60, jitter_out="uniform:0.5:0.5")
    submit(daemon, limit.url + "/first", wait=False)
    wait_until(lambda: limit.stats()["refused"] == 1, what="the request has arrived")
    hang.touch()
    other = threading.Thread(target=daemon.ctl, args=("submit", apisim.url + "/status/200"), kwargs={"check": None})
    other.start()
    wait_until(lambda: hosts(daemon, limit), what="the host is paused")
    daemon.kill()
    hang.unlink()
    other.join()
    daemon.start()
    assert "host is still paused" in daemon.log()


def test_a_learned_rate_and_what_it_counted_outlive_the_daemon(daemon, apisim):
    limit = apisim.limit("strict", n=10, window=3, ratelimit="draft")
    submit(daemon, limit.url + "/first")
    assert_all_done(daemon, submit(daemon, urls(limit, 9)), 9)
    daemon.kill()
    daemon.start()
    (host,) = hosts(daemon, limit)
    assert host["learned"]["rate"] == "10/3s"
    assert_all_done(daemon, submit(daemon, urls(limit, 9)), 9)
    assert assert_kept(limit, 19)["worst"] <= 10


# ---- What a batch wants then ----


def test_on_limit_wait_fetches_everything_in_the_end(daemon, apisim):
    limit = apisim.limit("strict", n=10, window=4)
    batch = submit(daemon, "--on-limit", "wait", "--max-attempts", "1", "--concurrency", "20", urls(limit, 15))
    assert_all_done(daemon, batch, 15)
    stats = limit.stats()
    assert stats["accepted"] == 15 and stats["refused"] >= 1


def test_on_limit_drop_keeps_what_was_allowed_and_drops_the_rest(daemon, apisim):
    limit = apisim.limit("strict", n=10, window=600)
    batch = submit(daemon, "--on-limit", "drop", "--concurrency", "5", urls(limit, 25), check=1)
    rows = rows_of(daemon, batch)
    assert sum(row["state"] == "done" for row in rows) == 10
    assert all(row["reason"] == "limited" for row in rows if row["state"] == "failed")
    assert counts(daemon, batch)["failed"] == 15
    stats = limit.stats()
    assert stats["accepted"] == 10 and stats["refused"] <= 5, "after the first refusal only what was in flight arrives"


def test_on_limit_fail_ends_the_batch_with_the_limit_as_its_error(daemon, apisim):
    limit = apisim.limit("strict", n=10, window=600)
    batch = submit(daemon, "--on-limit", "fail", "--concurrency", "5", urls(limit, 400), check=1)
    got = daemon.api.get(f"/v1/batches/{batch}").json()
    assert got["state"] == "failed" and got["counts"]["done"] == 10 and got["counts"]["failed"] == 390
    failed = [row for row in rows_of(daemon, batch) if row["state"] == "failed"]
    assert {row["reason"] for row in failed} == {"limited"} and all(row["error"] for row in failed)
    assert limit.stats()["refused"] <= 5


def test_a_batch_that_waits_is_not_touched_by_one_that_drops(daemon, apisim):
    limit = apisim.limit("strict", n=10, window=1)
    waits = submit(daemon, "--concurrency", "5", urls(limit, 20), wait=False)
    drops = submit(daemon, "--on-limit", "drop", "--concurrency", "5", urls(limit, 20), wait=False)
    daemon.ctl("wait", waits)
    daemon.ctl("wait", drops, check=None)
    assert_all_done(daemon, waits, 20)
    assert {row["reason"] for row in rows_of(daemon, drops)} <= {None, "limited"}


# ---- Rules at runtime ----


def test_a_rule_set_at_runtime_is_kept_over_a_restart_and_shadows_the_configuration(make_daemon, apisim):
    limit = apisim.limit("strict", n=5, window=1)
    daemon = make_daemon(limits=[rule(limit.key, limit.key, rate="1000/1s")])
    daemon.ctl("limits", "set", limit.key, "--rate", "5/1s", "--concurrency", "4", "--pace")
    daemon.restart()
    listed = {(r["source"], r["shadowed"]): r for r in daemon.api.get("/v1/limits").json()["limits"]}
    assert set(listed) == {("conf", True), ("runtime", False)}
    runtime = listed["runtime", False]
    assert (runtime["match"], runtime["concurrency"], runtime["pace"]) == (limit.key, 4, True)
    assert_all_done(daemon, submit(daemon, urls(limit, 8)), 8)
    assert_kept(limit, 8)
    out = daemon.ctl("limits").out
    assert "runtime" in out and "conf" in out
    daemon.ctl("limits", "rm", limit.key)
    (left,) = daemon.api.get("/v1/limits").json()["limits"]
    assert (left["source"], left["shadowed"]) == ("conf", False)
    assert "comes from the configuration" in daemon.ctl("limits", "rm", limit.key, check=1).err
    daemon.ctl("limits", "rm", "nobody", check=4)


def test_a_rule_counts_what_was_in_flight_when_it_came(daemon, gate):
    key = f"127.0.0.1:{gate.port}"
    first = submit(daemon, "--concurrency", "10", f"{gate.url}/[1-10]", wait=False)
    wait_until(lambda: len(gate.held) == 10, what="ten are on their way")
    daemon.ctl("limits", "set", key, "--rate", "10/1h")
    rest = submit(daemon, f"{gate.url}/[11-18]", wait=False)

    def why():
        return [w["why"] for w in daemon.api.get(f"/v1/batches/{rest}/explain").json()["waits"]]

    wait_until(lambda: why() == ["rate"], what="the rest waits for the rate")
    gate.open()
    daemon.ctl("wait", first)
    # They count from their ends on.
    assert why() == ["rate"] and len(gate.seen) == 10
    (window,) = daemon.api.get(f"/v1/limits?host={key}").json()["limits"][0]["state"][0]["windows"]
    assert window["used"] == 10
    daemon.ctl("cancel", rest)


def test_sighup_brings_new_rules_from_the_configuration(make_daemon, apisim):
    limit = apisim.limit("strict", n=5, window=1)
    daemon = make_daemon()
    daemon.configure(limits=[rule(limit.key, rate="5/1s")])
    daemon.kill(signal.SIGHUP)
    wait_until(lambda: daemon.api.get("/v1/limits").json()["limits"], what="the rule is there")
    assert_all_done(daemon, submit(daemon, urls(limit, 11)), 11)
    assert_kept(limit, 11)


@pytest.mark.parametrize("wrong", [["--rate", "fast"], ["--rate", "0/1s"], ["--concurrency", "-1"], ["--pace"], []])
def test_a_rule_that_says_nothing_or_nonsense_is_refused(daemon, wrong):
    assert daemon.ctl("limits", "set", "a.example", *wrong, check=2).err
    assert daemon.api.get("/v1/limits").json()["limits"] == []


# ---- Looking back, and looking at what waits ----


def test_audit_finds_a_limit_that_was_kept(make_daemon, apisim):
    limit = apisim.limit("strict", n=15, window=1, **EACH_WAY)
    daemon = make_daemon(limits=[rule(limit.key, "fifteen", rate="15/1s")])
    submit(daemon, urls(limit, 40))
    (told,) = daemon.ctl("audit", limit.key, "-f", "json").json()
    assert (told["limit"], told["source"], told["rate"], told["verdict"]) == ("fifteen", "conf", "15/1s", "kept")
    assert (told["attempts"], told["refused"], told["over"]) == (40, 0, 0)
    # Wherever between sending and answer the server counted: neither bound is above the rule, nor is what it did count.
    assert limit.stats()["worst"] <= told["fullest"]["worst"]["requests"] <= 15
    assert told["fullest"]["counted"]["requests"] <= 15
    assert "kept" in daemon.ctl("audit", limit.key).out


def test_a_rate_that_refused_connections_used_up_is_told_by_limits_and_by_audit(daemon):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        host = "127.0.0.1:%d" % nobody.getsockname()[1]
        daemon.ctl("limits", "set", host, "--rate", "7/1d")
        batch = daemon.ctl("submit", "-p", "--wait", "-n", "3", "--max-attempts", "1", f"http://{host}/", check=1).out.strip()
    (told,) = daemon.ctl("limits", host, "-f", "json").json()["limits"]
    assert told["state"][0]["windows"][0]["used"] == 3
    assert daemon.api.get(f"/v1/audit?host={host}").rows() == [], "nothing was sent"
    rows = daemon.api.get(f"/v1/audit?host={host}&unsent=1").rows()
    assert [(row["job"], row["sent_us"], row["limits"]) for row in sorted(rows, key=lambda r: r["job"])] == [(f"{batch}.{n}", None, [host]) for n in (1, 2, 3)]
    for what in (host, batch):
        said = daemon.ctl("audit", what, check=4).err
        assert "recorded" in said and "3 attempts sent no request, as the connection failed; rates count them all the same" in said, said


def test_audit_finds_a_limit_that_was_not_kept(daemon, apisim):
    limit = apisim.limit("any", kind="open")
    submit(daemon, "--concurrency", "30", urls(limit, 30))
    daemon.ctl("audit", limit.key)
    (told,) = daemon.ctl("audit", limit.key, "--rate", "10/1m", "-f", "json", check=1).json()
    assert (told["verdict"], told["over"]) == ("broken", 20)
    assert {told["fullest"][by]["requests"] for by in ("sent", "counted", "worst")} == {30}
    assert "broken: 20 of 30 requests went too early" in daemon.ctl("audit", limit.key, "--rate", "10/1m", check=1).out


def test_a_limit_that_was_set_behind_the_requests_has_not_been_broken_by_them(daemon, apisim):
    limit = apisim.limit("any", kind="open")
    submit(daemon, "--concurrency", "30", urls(limit, 30))
    daemon.ctl("limits", "set", limit.key, "--rate", "40/1h")
    submit(daemon, urls(limit, 10))
    for _ in range(2):
        told = daemon.ctl("audit", limit.key, "-f", "json").json()[0]
        assert (told["verdict"], told["attempts"], told["before"]) == ("kept", 10, 30)
        daemon.restart()
    assert "; 30 requests went before" in daemon.ctl("audit", limit.key).err


def test_audit_counts_refusals(daemon, apisim):
    limit = refusing(apisim, 1, tell=0)
    daemon.ctl("limits", "set", limit.key, "--rate", "1000/1s")
    submit(daemon, urls(limit, 3))
    (told,) = daemon.ctl("audit", limit.key, "-f", "json").json()
    assert (told["attempts"], told["refused"]) == (4, 1)


def test_explain_names_the_limit_that_a_batch_waits_for_and_until_when(make_daemon, apisim):
    limit = apisim.limit("strict", n=3, window=3600)
    daemon = make_daemon(limits=[rule(limit.key, "three", rate="3/1h")])
    batch = submit(daemon, urls(limit, 10), wait=False)
    wait_until(lambda: counts(daemon, batch)["done"] == 3, what="three are done")
    told = daemon.api.get(f"/v1/batches/{batch}/explain").json()
    (wait,) = told["waits"]
    assert (wait["why"], wait["limit"], wait["host"]) == ("rate", "three", limit.key)
    # Seven are left, three an hour: the first of them at `until`, the last two hours later.
    assert timedelta(0) <= when(told["eta"]) - when(wait["until"]) - timedelta(hours=2) < timedelta(minutes=5)
    (job,) = daemon.api.get(f"/v1/jobs/{batch}.10/explain").json()["waits"]
    assert (job["why"], job["limit"]) == ("rate", "three")
    for what in (batch, f"{batch}.10"):
        out = daemon.ctl("explain", what).out
        assert "three" in out and limit.key in out, out
    assert daemon.api.get(f"/v1/jobs/{batch}.1/explain").json()["waits"] == []
    daemon.ctl("cancel", batch)


def test_explain_tells_other_reasons_apart(make_daemon, apisim):
    daemon = make_daemon(limits=[rule("127.0.0.2", "two", concurrency=2)])
    slow = "/hang"

    def why(batch, seq):
        return [w["why"] for w in daemon.api.get(f"/v1/jobs/{batch}.{seq}/explain").json()["waits"]]

    def started(host, n):
        key = f"127.0.0.{host}:{apisim.port}"
        wait_until(lambda: apisim.stats()["hosts"].get(key, 0) >= n, what=f"{n} requests to {key}")

    concurrency = submit(daemon, "-n", "4", apisim.host(2) + slow, wait=False)
    batch_concurrency = submit(daemon, "--concurrency", "1", "-n", "3", apisim.host(3) + slow, wait=False)
    chain = submit(daemon, "--chain", "-n", "2", apisim.host(4) + slow, wait=False)
    due = submit(daemon, "--max-attempts", "50", "-n", "1", f"{apisim.host(5)}/status/500", wait=False)
    started(2, 2)
    started(3, 1)
    started(4, 1)
    assert why(concurrency, 4) == ["concurrency"]
    assert why(batch_concurrency, 3) == ["batch_concurrency"]
    assert why(chain, 2) == ["chain"]
    wait_until(lambda: why(due, 1) == ["due"], what="the failed job waits for its next try")
    daemon.ctl("pause", batch_concurrency)
    assert why(batch_concurrency, 3) == ["paused"]
    for batch in (concurrency, batch_concurrency, chain, due):
        assert daemon.ctl("explain", batch).out
        daemon.ctl("cancel", batch)
