"""What is said of a run that did not become complete, and what is to be done about it."""

from harness.pulls import pull, start, write_recipe



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
