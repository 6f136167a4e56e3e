"""Where redirects may lead. Everything here is loopback, so workers that are played tell of servers elsewhere."""

import pytest

from harness.api import submit, wait
from harness.played import Workers
from harness.pulls import start, write_recipe

PUBLIC, INSIDE = "93.184.216.34", "10.0.0.7"


@pytest.fixture
def play(make_daemon, scratch):
    """play(answer) is a daemon whose one worker answers jobs by answer(job), and that worker."""
    played = []

    def start(answer):
        workers = Workers(scratch, answer)
        played.append(workers)
        daemon = make_daemon(start=False, workers=1)
        daemon.program = scratch / "fanoutd"
        return daemon.start(), workers

    yield start
    for workers in played:
        workers.close()


def chain(*hops):
    """Answers by URL: each (url, address of the server there) redirects to the next, the last says 200."""
    answers = {url: {"remote_ip": ip} for url, ip in hops}
    for (url, _), (to, _) in zip(hops, hops[1:]):
        answers[url].update(status=302, redirect_url=to)
    return lambda job: answers[job.url]


@pytest.mark.parametrize(
    "hops, flags",
    [
        ([("http://a.example/", PUBLIC), ("http://127.0.0.1:8080/", "127.0.0.1")], [False, True]),
        ([("http://a.example/", INSIDE), ("http://127.0.0.1:8080/", "127.0.0.1")], [False, False]),
        ([("http://a.example/", "::ffff:10.0.0.7"), ("http://b.example/", PUBLIC)], [False, False]),
        # What one server at a public address said is not forgotten over another's word.
        ([("http://a.example/", PUBLIC), ("http://b.example/", INSIDE), ("http://c.example/", INSIDE)], [False, True, True]),
        ([("http://a.example/", INSIDE), ("http://b.example/", PUBLIC), ("http://c.example/", INSIDE)], [False, False, True]),
        # Who knows where that was?
        ([("http://a.example/", ""), ("http://b.example/", PUBLIC)], [False, True]),
    ],
)
def test_where_a_public_server_leads_only_public_addresses_may_be_reached(play, hops, flags):
    daemon, workers = play(chain(*hops))
    batch = submit(daemon, [{"url": hops[0][0]}])
    assert wait(daemon, batch)["state"] == "done"
    assert [(j.url, j.from_public) for j in workers.jobs] == [(url, flag) for (url, _), flag in zip(hops, flags)]


def test_a_restart_does_not_forget_who_led_there(play):
    hops = [("http://a.example/", PUBLIC), ("http://b.example/", INSIDE)]
    answer, held = chain(*hops), []

    def once(job):
        if job.url == hops[1][0] and not held:
            held.append(job)
            daemon.process.kill()
        return answer(job)

    daemon, workers = play(once)
    batch = submit(daemon, [{"url": hops[0][0]}])
    daemon.wait()
    daemon.start()
    assert wait(daemon, batch)["state"] == "done"
    assert [(j.url, j.from_public) for j in workers.jobs] == [(hops[0][0], False), (hops[1][0], True), (hops[1][0], True)]


def test_a_restart_does_not_forget_who_led_to_the_next_page(play):
    first, second = "http://a.example/1", "http://a.example/2"
    held = []

    def answer(job):
        if job.url == second and not held:
            held.append(job)
            daemon.process.kill()
        return {"remote_ip": PUBLIC, "next_url": second if job.url == first else ""}

    daemon, workers = play(answer)
    write_recipe(daemon, "p", url=first, page={"type": "next_url", "next": ".next"}, items=".result[]")
    run = start(daemon, "p")
    daemon.wait()
    daemon.start()
    assert run.wait()["complete"]
    assert [(j.url, j.from_public) for j in workers.jobs] == [(first, False), (second, True), (second, True)]


def test_a_job_that_is_retried_begins_where_its_user_said(play):
    hops = [("http://a.example/", PUBLIC), ("http://b.example/", PUBLIC)]
    answer = chain(*hops)
    daemon, workers = play(lambda job: {"cause": "policy", "status": 0, "error": "no"} if job.url == hops[1][0] else answer(job))
    batch = submit(daemon, [{"url": hops[0][0]}])
    assert wait(daemon, batch)["state"] == "failed"
    row = daemon.api.get(f"/v1/batches/{batch}/results").rows()[0]
    assert (row["reason"], row["error"]) == ("policy", "no")
    assert daemon.api.post(f"/v1/jobs/{batch}.1/retry").status == 200
    assert wait(daemon, batch)["state"] == "failed"
    assert [(j.url, j.from_public) for j in workers.jobs] == 2 * [(hops[0][0], False), (hops[1][0], True)]


def test_a_redirect_that_is_not_followed_brings_its_body(play):
    daemon, workers = play(lambda job: {"status": 301, "redirect_url": "http://b.example/", "body": b"it has moved"})
    batch = submit(daemon, [{"url": "http://a.example/", "max_redirects": 0}])
    assert wait(daemon, batch)["state"] == "done"
    assert daemon.api.get(f"/v1/jobs/{batch}.1/body").body == b"it has moved"
    assert len(workers.jobs) == 1
