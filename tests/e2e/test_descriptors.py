"""Few file descriptors: what is slow or does not work for that reason is told, with what to do."""

import re
import shutil

import pytest

from harness.process import wait_until

TO_DO = "have LimitNOFILE= in fanoutd.service, or the hard limit of ulimit -n, at 1024 or more"


def spawn(daemon, descriptors):
    return daemon.spawn(program=["/bin/sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", daemon.program])


def checks(daemon, code):
    return {c["check"]: c for c in daemon.ctl("doctor", "-f", "json", check=code).json()}


@pytest.mark.parametrize("descriptors, takes", [(40, 1), (128, 1), (200, 36)])
def test_few_descriptors_make_workers_slow_and_log_and_doctor_say_so(make_daemon, apisim, descriptors, takes):
    daemon = make_daemon(start=False)
    spawn(daemon, descriptors)
    wait_until(daemon.ready, 20, "fanoutd answers")
    assert f'few file descriptors limit={descriptors} requests_of_a_worker={takes} why="{TO_DO}"' in daemon.log()
    workers = checks(daemon, 1)["workers"]
    assert workers["result"] == "wrong" and TO_DO in workers["detail"]
    assert re.search(rf"takes only {takes} requests? at a time, for it may have only {descriptors} file descriptors", workers["detail"])
    assert daemon.api.get("/v1/stats").json()["process"]["descriptors_max"] == descriptors
    daemon.ctl("submit", "--wait", *(f"{apisim.url}/uuid?[1-20]", re.sub(r"//[^:]+", "//127.0.0.[1-60]", apisim.url) + "/uuid"))


def test_with_descriptors_enough_nothing_is_said(make_daemon):
    daemon = make_daemon(start=False, workers=1)
    spawn(daemon, 256)
    wait_until(daemon.ready, 20, "fanoutd answers")
    assert "few file descriptors" not in daemon.log()
    assert checks(daemon, 0)["workers"]["detail"] == "1 of 1 run"


@pytest.mark.parametrize("descriptors", [8, 16, 25])
def test_with_too_few_descriptors_the_daemon_does_not_start_and_says_what_it_needs(make_daemon, descriptors):
    daemon = make_daemon(start=False)
    spawn(daemon, descriptors)
    daemon.may_end = True
    assert daemon.process.wait(60) == 1
    assert f"{descriptors} file descriptors are too few: 26 are needed for 2 workers\n  {TO_DO}" in daemon.log()


def test_doctor_says_that_no_worker_runs(make_daemon, scratch):
    daemon = make_daemon(start=False)
    daemon.program = shutil.copy(daemon.program, scratch / "fanoutd")
    shutil.copy("/bin/false", scratch / "fanout-worker")
    daemon.start()
    told = lambda: [c for c in daemon.ctl("doctor", "-f", "json", check=None).json() if (c["check"], c["result"]) == ("workers", "wrong")]
    (workers,) = wait_until(told, 30, "both have died, and are not started again yet")
    assert workers["detail"] == "none of 2 runs: the log of fanoutd says why"
    assert "worker died" in daemon.log()
