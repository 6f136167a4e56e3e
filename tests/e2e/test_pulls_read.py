"""A run goes on after a restart: the plan of its pages is read in slices, and only where there is memory for it."""

import contextlib
import http.client
import socket

import pytest

from harness.http import Answer
from harness.process import wait_until
from harness.pulls import explain, start, wait_for, write_recipe

ASKED = {"page": {"type": "page", "param": "page", "size": 5, "total_items": ".total"}, "single": {"type": "single"}}
PAGES = 8000  # eight slices


# ---- slices ----


@contextlib.contextmanager
def asked_before_it_began(daemon, *requests):
    """Starts the daemon with a socket on which these requests wait already, so that they come in its first turns: the connections."""
    daemon.socket.unlink()
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(daemon.socket))
        listening.listen(64)
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in requests]
        for client, (method, path) in zip(clients, requests):
            client.connect(str(daemon.socket))
            client.settimeout(240)
            client.sendall(f"{method} {path} HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        daemon.spawn_on(listening)
        yield clients


def answer_on(client):
    response = http.client.HTTPResponse(client)
    response.begin()
    return Answer(response)


def done(daemon, run):
    return daemon.api.get(f"/v1/batches/{run.number}").json()["counts"]["done"]


def killed_in_the_middle(daemon, apisim):
    """A run of thousands of pages that a daemon left when it was killed."""
    api = apisim.pages("page", "a", items=PAGES * 5, size=5, totals="items")
    write_recipe(daemon, "p", url=str(api), page={**ASKED["page"]}, items=".result[]", limit={"concurrency": 8})
    run = start(daemon, "p")
    wait_until(lambda: done(daemon, run) >= 500, 60, "some pages are there")
    daemon.api.post(f"/v1/batches/{run.number}/pause")
    assert daemon.api.get(f"/v1/batches/{run.number}").json()["counts"]["queued"] > PAGES / 2, "most are to come"
    daemon.api.post(f"/v1/batches/{run.number}/resume")
    daemon.kill()
    return api, run


def assert_is_being_read(told):
    (why,) = told["waits"]
    assert (told["state"], why["why"]) == ("waiting", "reading"), told
    assert f"of {PAGES} so far" in why["text"], told


def test_what_is_asked_while_pages_are_read_is_answered_and_a_kill_then_does_no_harm(make_daemon, apisim):
    daemon = make_daemon()
    api, run = killed_in_the_middle(daemon, apisim)
    paths = [f"/v1/batches/{run.number}/explain", f"/v1/runs/{run.number}", f"/v1/batches/{run.number}", "/healthz", "/v1/runs"]
    for _ in range(2):
        with asked_before_it_began(daemon, *[("GET", path) for path in paths]) as clients:
            explained, shown, batch, health, listed = (answer_on(client) for client in clients)
            daemon.kill()
        assert_is_being_read(explained.json())
        told = shown.json()
        assert_is_being_read({"state": told["state"], "waits": told["live"]["waits"]})
        assert told["live"]["items"] is None and told["live"]["pages"] >= 500 and told["live"]["requests"] >= 500
        assert batch.json()["state"] == "waiting" and health.status == 200
        assert [row["state"] for row in listed.json()["runs"]] == ["waiting"]
    daemon.socket.unlink()
    daemon.start()
    receipt = run.wait(240)
    assert (receipt["complete"], receipt["pages"], receipt["items"], receipt["error"]) == (True, PAGES, PAGES * 5, None), receipt
    assert sorted(api.by_page()) == list(range(1, PAGES + 1)), "each page was asked for"


@pytest.mark.parametrize("word", ["cancel", "pause"])
def test_the_owners_word_counts_while_pages_are_read(make_daemon, apisim, word):
    daemon = make_daemon()
    api, run = killed_in_the_middle(daemon, apisim)
    before = len(api.log())
    with asked_before_it_began(daemon, ("GET", f"/v1/batches/{run.number}/explain"), ("POST", f"/v1/batches/{run.number}/{word}")) as clients:
        explained, marked = (answer_on(client) for client in clients)
        assert_is_being_read(explained.json())
        assert marked.status in (200, 202), marked
        if word == "cancel":
            receipt = run.wait(120)
            assert (receipt["verdict"], receipt["error"]) == ("cancelled", None), receipt
        else:
            assert explain(daemon, run)["waits"][0]["why"] == "paused"
            assert daemon.api.get(f"/v1/batches/{run.number}").json()["state"] == "paused"
        assert len(api.log()) == before, "nothing was started"
        daemon.stop()


# ---- memory ----


def held_and_waiting(make_daemon, gate, **ask):
    """One run that the server holds, and one of another pull that has no memory then."""
    daemon = make_daemon(pulls_memory="1K")
    for name in ("first", "second"):
        write_recipe(daemon, name, url=f"{gate.url}/{name}", page=ASKED["single"])
    first = start(daemon, "first")
    wait_until(lambda: gate.held == ["/first"], 60, "one is under way, though it alone is above the bound")
    return daemon, first, start(daemon, "second", **ask)


def test_a_run_waits_for_memory_until_another_has_ended(make_daemon, gate):
    daemon, first, second = held_and_waiting(make_daemon, gate)
    told = wait_for(daemon, second, "memory")
    (why,) = told["waits"]
    assert told["state"] == "waiting" and why["text"].startswith("it waits for memory: the plans of 1 run hold 0.0 MiB"), told
    shown = second.get()
    assert (shown["state"], shown["waiting_for"], shown["live"]["waits"]) == ("waiting", None, [why])
    assert daemon.api.get(f"/v1/jobs/{second.pages()[0]['job']}/explain").json()["waits"] == [why]
    for words in (("status", second.number), ("explain", second.number), ("pull", "show", second.number)):
        assert "waits for memory" in " ".join(daemon.ctl(*words).out.split()), words
    assert first.get()["state"] == "running" and gate.seen == ["/first"]
    gate.open()
    assert first.wait()["complete"] and second.wait()["complete"]


def test_only_as_many_go_on_after_a_kill_as_there_is_memory_for(make_daemon, gate):
    daemon, first, second = held_and_waiting(make_daemon, gate)
    wait_for(daemon, second, "memory")
    daemon.kill()
    daemon.start()
    waiting = wait_until(lambda: [run for run in (first, second) if run.get()["state"] == "waiting"], 60, "one waits")
    assert len(waiting) == 1
    wait_for(daemon, waiting[0], "memory")
    gate.open()
    assert first.wait()["complete"] and second.wait()["complete"]


@pytest.mark.parametrize("end", ["cancel", "deadline", "stop"])
def test_a_run_that_waits_for_memory_can_be_ended(make_daemon, gate, end):
    daemon, first, second = held_and_waiting(make_daemon, gate, **({"deadline": 1} if end == "deadline" else {}))
    third = start(daemon, "second", overlap="queue")
    if end == "cancel":
        wait_for(daemon, second, "memory")
        daemon.ctl("pause", second.number)
        wait_for(daemon, second, "paused")
        daemon.ctl("resume", second.number)
        wait_for(daemon, second, "memory")
        daemon.ctl("cancel", second.number)
    if end == "stop":
        wait_for(daemon, second, "memory")
        daemon.api.post(f"/v1/batches/{first.number}/cancel")
        gate.open()
        assert first.wait()["verdict"] == "cancelled" and second.wait()["complete"] and third.wait()["complete"]
        return
    assert second.wait()["verdict"] == ("cancelled" if end == "cancel" else "failed")
    wait_for(daemon, third, "memory")
    assert gate.seen == ["/first"]
    gate.open()
    assert first.wait()["complete"] and third.wait()["complete"]
    daemon.api.delete(f"/v1/batches/{second.number}")
    wait_until(lambda: daemon.api.get(f"/v1/runs/{second.number}").status == 404, 60, "it is removed")
