"""What is said of a run that did not become complete, and what is to be done about it."""

import re

import pytest

from harness.pulls import PAGED, pull, start, write_recipe

def test_a_run_that_another_replaced_says_which_one(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "single"})
    first = start(daemon, "p")
    second = start(daemon, "p", overlap="replace")
    assert first.wait()["error"] == f"run {second.number} took its place (overlap: replace)"


def test_a_run_that_was_cancelled_has_no_more_to_say(daemon, gate):
    write_recipe(daemon, "p", url=gate.url + "/", page={"type": "single"}, items=".[]")
    run = start(daemon, "p")
    daemon.ctl("cancel", run.number)
    assert (run.wait()["verdict"], run.get()["error"]) == ("cancelled", None)
    assert f"run {run.number} is cancelled\n" in daemon.ctl("items", run.number, check=1).err


def test_what_the_recipe_cannot_read_is_shown_and_wants_the_recipe_corrected(daemon, answer):
    write_recipe(daemon, "p", url=answer(b'{"note":"maintenance"}'), page={"type": "single"}, items=".rows[]")
    r = daemon.ctl("pull", "run", "p", "--wait", check=1)
    assert 'null (null); the body begins: {"note":"maintenance"}' in r.err
    assert "fanoutctl pull run p starts anew, where the recipe has to be corrected" in r.err


def test_a_message_of_status_200_behind_the_end_is_told_by_page_stop(daemon, serve):
    bodies = [b"[1]"]  # pages come one after the other

    def behave(c):
        while c.request():
            c.answer(bodies.pop() if bodies else b'{"error":"no such page"}')

    page = {"type": "page", "param": "page"}
    write_recipe(daemon, "p", url=serve(behave).url + "/", page=page, items=".[]", error=".error?", retry={"max_attempts": 1})
    _, receipt = pull(daemon, "p")
    assert receipt["verdict"] == "incomplete" and "tell it by page.stop" in receipt["error"], receipt


PAGES = 9


def numbered(serve, refuses, body=b'{"result":[{"id":%d}]}'):
    """A server of numbered pages; refuses(page, head) is a status in place of one."""

    def behave(c):
        while head := c.request():
            page = int(re.search(r"page=(\d+)", head)[1])
            status = refuses(page, head)
            c.answer(b"{}" if status else body % page, status=status or "200 OK")

    return serve(behave).url + "/"


@pytest.mark.parametrize("status", ["404 Not Found", "401 Unauthorized", "403 Forbidden", "407 Proxy Authentication Required", "500 Oops"])
def test_only_a_status_that_may_be_an_end_is_advised_as_one(daemon, serve, status):
    url = numbered(serve, lambda page, head: status if page > 5 else None)
    write_recipe(daemon, "p", url=url, page={"type": "page", "param": "page"}, items=".result[]", retry={"max_attempts": 1})
    _, receipt = pull(daemon, "p")
    assert receipt["error"].startswith("pages 6 to 8 are missing: 3 in a row failed, so that the rest was given up"), receipt
    assert ("page.stop_status" in receipt["error"]) == status.startswith("404"), receipt


def test_a_token_that_was_revoked_amid_a_run_is_replaced_and_the_rest_is_fetched_by_retry(daemon, serve):
    secret = daemon.dir / "secrets" / "tok"
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("old\n")
    url = numbered(
        serve,
        lambda page, head: "401 Unauthorized" if page > 2 and "Bearer new" not in head else None,
        b'{"result":[{"id":%%d}],"pages":%d}' % PAGES,
    )
    keys = {"headers": ["Authorization: Bearer {secret:tok}"], "secrets": {"tok": ["127.0.0.1"]}, "limit": {"concurrency": 1}}
    write_recipe(daemon, "p", url=url, page=PAGED, items=".result[]", **keys)
    run, receipt = pull(daemon, "p")
    assert re.match(r"pages 3 to 9 of 9 are missing: \d in a row failed, so that the rest was given up \(page ", receipt["error"]), receipt
    told = daemon.ctl("explain", run.number).out
    assert f"where a secret is why, replace its file: fanoutctl retry {run.number} goes on with it; fanoutctl pull run p starts" in told, told
    secret.write_text("new\n")
    daemon.ctl("retry", run.number)
    assert run.wait()["verdict"] == "complete" and run.ids() == list(range(1, PAGES + 1))


@pytest.mark.parametrize("long", [False, True])
def test_a_long_error_of_a_run_whose_file_is_not_written_is_not_cut_amid_a_page_s_own(daemon, serve, scratch, long):
    message = b'{"message":"Token not valid%s!"}' % (b" " + b"x" * 200 if long else b"")

    def behave(c):
        while head := c.request():
            refused = "page=2" in head
            c.answer(message if refused else b'{"pages":3}', status="401 Unauthorized" if refused else "200 OK")

    write_recipe(daemon, "p", url=serve(behave).url + "/", page=PAGED, items=".result[]?")
    run, receipt = pull(daemon, "p")
    told = daemon.ctl("items", run.number, "-o", scratch / "t.csv", check=1).err
    assert receipt["error"].startswith("page 2 of 3 is missing (page 2: 401 Unauthorized"), receipt
    assert (len(receipt["error"]) > 160) == long, "as the test means it"
    why = "page 2 of 3 is missing" if long else receipt["error"]
    assert f"t.csv was not written: run {run.number} is incomplete: {why}\n" in told, told
