"""fanoutctl's verbs that change a batch: cancel, retry, rm, pause, resume; and which batch is the last."""

import os
import signal

import pytest

from harness.daemon import comm
from harness.process import BUILD, children, on_terminal, wait_until


# ---- changes ----


def test_cancel_retry_and_rm(ctl, apisim):
    batch = ctl("submit", "-p", "--concurrency", "1", apisim.url + "/delay/0.2?[1-500]").out.strip()
    assert ctl("rm", batch, check=1).err.startswith("fanoutctl: ")
    ctl("cancel", batch)
    ctl("wait", batch, check=7)
    cancelled = [row["job"] for row in ctl("results", batch, "--state", "cancelled", "-f", "ndjson").rows()]
    assert cancelled
    ctl("retry", cancelled[-1])
    wait_until(lambda: ctl("show", cancelled[-1], "-f", "json").json()["state"] == "done", 10, "the job that was retried is done")
    ctl("rm", batch)
    ctl("status", batch, check=4)


@pytest.mark.parametrize("verb", ["rm", "cancel", "pause", "resume", "retry"])
def test_an_operand_that_names_nothing_leaves_those_before_it_as_they_are(ctl, gate, verb):
    batch = ctl("submit", "-p", gate.url).out.strip()
    wrong = f"{batch}.1" if verb == "rm" else "1.x"
    if verb == "rm":
        gate.open()
        ctl("wait", batch)
    else:
        wait_until(lambda: ctl("status", batch, "-f", "json").json()["counts"]["running"] == 1, what="it runs")
    before = ctl("status", batch, "-f", "json").json()
    said = ctl(verb, batch, wrong, check=2).err
    assert wrong in said and f"batch {batch}:" not in said, said
    after = ctl("status", batch, "-f", "json").json()
    assert (after["state"], after["counts"]) == (before["state"], before["counts"])


def test_retry_of_a_batch_runs_what_failed_again(ctl, apisim):
    url = apisim.url + "/flaky?id=r&fail=1&code=404"
    batch = ctl("submit", "-p", url).out.strip()
    ctl("wait", batch, check=1)
    ctl("retry", batch)
    ctl("wait", batch)
    assert ctl("status", batch, "-f", "json").json()["counts"]["done"] == 1


def test_a_retry_of_a_batch_in_which_nothing_failed_says_so_and_does_nothing(ctl, apisim):
    batch = ctl("submit", "-p", "--wait", apisim.url + "/uuid?[1-3]").lines()[0]
    before = ctl("status", batch, "-f", "json").json()
    assert ctl("retry", batch).err == f"batch {batch}: there is nothing to retry: done\n"
    assert ctl("status", batch, "-f", "json").json() == before


def test_cancel_of_one_job_leaves_the_others(ctl, gate):
    batch = ctl("submit", "-p", "--concurrency", "1", gate.url + "/?[1-3]").out.strip()
    ctl("cancel", f"{batch}.3")
    gate.open()
    ctl("wait", batch, check=7)
    assert [row["state"] for row in ctl("results", batch, "-f", "ndjson").rows()] == ["done", "done", "cancelled"]


def test_what_was_known_of_a_job_that_waited_for_another_attempt_is_told_when_it_is_cancelled(ctl, apisim):
    batch = ctl("submit", "-p", "--max-attempts", "100", apisim.url + "/status/500").out.strip()

    def row(verb="results", check=0):
        return ctl(verb, batch, "-f", "ndjson", check=check).rows()[0]

    wait_until(lambda: row()["status"], 30, "it was tried")
    ctl("pause", batch)
    wait_until(lambda: row()["state"] == "queued", 30, "it waits, and is not tried again")
    before = row()
    ctl("cancel", batch)
    ctl("wait", batch, check=7)
    told = row()
    assert told == row("follow", 7) == {k: v for k, v in ctl("show", f"{batch}.1", "-f", "json").json().items() if k in told}
    same = "status attempts method remote_ip http_version error".split()
    assert (told["state"], told["status"]) == ("cancelled", 500) and [told[k] for k in same] == [before[k] for k in same]
    assert told["timings"]["total_us"] == before["timings"]["total_us"] > 0 and told["size"] == 0
    assert "500" in ctl("results", batch, "--state", "cancelled").lines()[1].split()


def test_pause_and_resume(ctl, gate):
    batch = ctl("submit", "-p", "--concurrency", "1", gate.url + "/?[1-20]").out.strip()
    assert f"batch {batch}: paused" in ctl("pause", batch).err
    gate.open()
    wait_until(lambda: ctl("status", batch, "-f", "json").json()["counts"]["running"] == 0, 10, "what ran has ended")
    b = ctl("status", batch, "-f", "json").json()
    assert b["state"] == "paused" and b["counts"]["queued"] > 0
    ctl("wait", batch, "--timeout", "300ms", check=6)
    assert ctl("status", batch, "-f", "json").json()["counts"] == b["counts"]
    ctl("resume", batch)
    ctl("wait", batch)


def test_who_waits_for_what_is_paused_is_told_so_and_how_it_goes_on(ctl, daemon, gate):
    batch = ctl("submit", "-p", gate.url).out.strip()
    ctl("pause", batch)
    said = ctl("wait", batch, "--timeout", "100ms", check=6).err
    assert said == f"fanoutctl: batch {batch} has not ended within 100ms: it is paused\n  fanoutctl resume {batch} lets it go on\n"

    def interrupt():
        (child,) = [pid for pid in children(os.getpid()) if comm(pid) == "fanoutctl"]
        os.kill(child, signal.SIGINT)

    shown, code = on_terminal([BUILD / "fanoutctl", "-S", daemon.socket, "wait", batch], seen=b"paused", then=interrupt)
    assert code == 130 and f"interrupted; batch {batch} is paused (fanoutctl resume {batch} lets it go on;" in shown, shown


def test_what_has_ended_is_said_to_have(ctl, mixed):
    for verb in ("cancel", "pause", "resume"):
        assert f"batch {mixed} had ended already: failed" in ctl(verb, mixed).err
    assert f"job {mixed}.1 had ended already: done" in ctl("cancel", f"{mixed}.1").err


def test_changing_verbs_show_no_data_and_say_so(ctl, mixed):
    for verb in ("cancel", "retry", "rm", "pause", "resume"):
        assert "-f has no use here" in ctl(verb, mixed, "-f", "json", check=2).err


def test_ranges_and_all_that_has_ended_are_removed(ctl, apisim):
    for _ in range(6):
        ctl("submit", "--wait", apisim.url + "/uuid")
    running = ctl("submit", "-p", apisim.url + "/hang").out.strip()

    def left():
        return [b["batch"] for b in ctl("status", "-f", "json").json()]

    ctl("rm", "2-4", "6")
    assert left() == [7, 5, 1]
    assert "there are no batches 2-4" in ctl("rm", "2-4", check=4).err
    assert "--ended is for all" in ctl("rm", "--ended", "1", check=2).err and "BATCH is missing" in ctl("rm", check=2).err
    assert ctl("rm", "--ended").err == "2 batches removed\n"
    assert left() == [int(running)]
    ctl("cancel", running)


# ---- last ----


def test_the_newest_batch_is_called_last(ctl, apisim, scratch):
    assert "you have none" in ctl("status", "last", check=4).err
    ctl("submit", "--wait", "--name", "one", apisim.url + "/uuid")
    ctl("submit", "--wait", "--name", "two", apisim.url + "/bytes/[3-5]")
    for last in ("last", "-1"):
        assert ctl("status", last, "-f", "json").json()["name"] == "two"
        assert ctl("show", f"{last}.3", "-f", "json").json()["size"] == 5
        assert len(ctl("results", last, "-f", "ndjson").rows()) == 3
        ctl("wait", last)
        ctl("get", last, "-o", f"{scratch}/{{seq}}")
        assert ctl("get", f"{last}.1").out == "\0\1\2"
    ctl("rm", "last")
    assert ctl("status", "last", "-f", "json").json()["name"] == "one"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_an_options_value_is_no_name_of_a_batch(ctl, apisim):
    ctl("submit", "--wait", f"{apisim.url}/uuid")
    assert 'not "-1"' in ctl("results", "last", "--limit", "-1", check=2).err
    assert 'there is no format "-1"' in ctl("results", "last", "-f", "-1", check=2).err
    assert ctl("results", "-q", "-1").out == ctl("results", "last").out


def test_the_last_batch_is_the_callers_own_also_for_an_administrator(daemon, ctl, apisim):
    os.chmod(daemon.socket, 0o666)
    mine = ctl("submit", "-p", "--wait", apisim.url + "/uuid").out.split()[0]
    ctl("submit", "-p", "--wait", apisim.url + "/uuid", user=65534, group=65534, extra_groups=[])
    assert ctl("status", "last", "-f", "json").json()["batch"] == int(mine)
    ctl("rm", "--ended")
    assert [b["uid"] for b in ctl("status", "-f", "json").json()] == [65534]


# ---- retry, of what may have been carried out ----


def test_what_may_have_been_carried_out_is_not_sent_again_by_a_plain_retry(ctl, apisim):
    batch = ctl("submit", "-p", "-X", "POST", apisim.url + "/{reset?bytes=0,status/404,reset?bytes=0}").out.strip()
    ctl("wait", batch, check=1)
    unknown = [row["job"] for row in ctl("results", batch, "-f", "ndjson").rows() if row["reason"] == "unknown_outcome"]
    assert len(unknown) == 2
    explained = ctl("explain", batch).out
    assert f"fanoutctl retry {batch} tries them again" in explained and f"look at the server, then fanoutctl retry {batch} --unsafe." in explained

    def attempts():
        ctl("wait", batch, check=1)
        return [row["attempts"] for row in ctl("results", batch, "-f", "ndjson").rows()]

    r = ctl("retry", batch)
    assert f"2 jobs of batch {batch} may have been carried out" in r.err and "--unsafe" in r.err
    assert attempts() == [1, 2, 1]
    r = ctl("retry", unknown[0], check=1)
    assert "may have carried it out" in r.err and "--unsafe" in r.err
    ctl("retry", f"{batch}.2")
    assert attempts() == [1, 3, 1]
    ctl("retry", "--unsafe", unknown[0])
    assert attempts() == [2, 3, 1]
    assert "may have" not in ctl("retry", "--unsafe", batch).err
    assert attempts() == [3, 4, 2]


def test_a_post_that_was_answered_and_may_have_been_carried_out_is_sent_again_with_a_word(ctl, apisim):
    batch = ctl("submit", "-p", "-X", "POST", apisim.url + "/status/{500,404}").out.strip()
    ctl("wait", batch, check=1)
    assert f"{batch} tries them again; of those, 1 may have been carried out" in ctl("explain", batch).out
    explained = ctl("explain", f"{batch}.1").out
    assert f"its POST may have been carried out all the same: look at the server first, then fanoutctl retry {batch}.1." in explained
    assert "carried out" not in ctl("explain", f"{batch}.2").out
    assert f"batch {batch}: 1 job that may have been carried out" in ctl("retry", batch).err
    ctl("wait", batch, check=1)
    assert f"job {batch}.1: 1 job that may have been carried out" in ctl("retry", f"{batch}.1").err
    ctl("wait", batch, check=1)
    assert [row["attempts"] for row in ctl("results", batch, "-f", "ndjson").rows()] == [3, 2]


def test_a_put_that_was_answered_500_may_be_sent_again_without_a_word(ctl, apisim):
    batch = ctl("submit", "-p", "-X", "PUT", "--max-attempts", "1", apisim.url + "/status/500").out.strip()
    ctl("wait", batch, check=1)
    assert "carried out" not in ctl("explain", batch).out + ctl("explain", f"{batch}.1").out + ctl("retry", batch).err


def test_a_retry_of_nothing_but_what_may_have_been_carried_out_does_nothing(ctl, apisim):
    batch = ctl("submit", "-p", "-X", "POST", apisim.url + "/reset?bytes=0").out.strip()
    ctl("wait", batch, check=1)
    before = ctl("status", batch, "-f", "json").json()
    explained = ctl("explain", batch).out
    assert "tries them again" not in explained and f"look at the server, then fanoutctl retry {batch} --unsafe." in explained
    r = ctl("retry", batch, check=1)
    assert "1 job of batch" in r.err and "nothing was retried" in r.err and "--unsafe" in r.err
    assert ctl("status", batch, "-f", "json").json() == before


def test_several_operands_are_all_tried_and_the_first_refusal_is_the_exit_status(ctl, mixed, apisim):
    other = ctl("submit", "-p", "--wait", apisim.url + "/uuid").lines()[0]
    r = ctl("rm", mixed, "99", other, check=4)
    assert "there is no batch 99" in r.err
    assert ctl("status", "-f", "json").json() == []
