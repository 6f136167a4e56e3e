"""fanoutctl audit: what is read of the record of a daemon that is played, and what is proven by it."""

import csv
import io
import json
import re
import time

import pytest

from harness.process import BUILD, sanitized
from harness.script import asked, ctl, play, rfc3339, rule  # noqa: F401 (fixtures)


# ---- audit ----


SECOND, MINUTE = 1_000_000, 60_000_000
START = 1_767_323_045_000_000  # 2026-01-02T03:04:05Z


def attempts(times, limits=("cats",), answer_us=100_000, batch=7, boot=1, status=200, refused=False):
    """A record of jobs sent at those times (µs), in any order."""
    return [{"job": f"{batch}.{i}", "attempt": 1, "boot": boot, "sent_us": t, "counted_us": None if answer_us is None else t + answer_us,
             "sent_at": rfc3339(START + t), "status": status, "refused": refused, "limits": list(limits)} for i, t in enumerate(times, 1)]


def record(rows, broken_off=False):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/x-ndjson")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        for at in range(0, len(data), 777):  # lines are cut anywhere
            piece = data[at : at + 777]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if broken_off:
            handler.close_connection = True
        else:
            handler.wfile.write(b"0\r\n\r\n")

    return answer


@pytest.fixture
def audited(play, ctl):
    """audited(rows, "-f", "json", rules=[...]) audits catfact.ninja:443."""

    def call(rows, *args, rules=None, check=0, host="catfact.ninja:443", **options):
        call.server = play({("GET", "/v1/limits"): [(200, {"limits": [rule()] if rules is None else rules, "hosts": []})], ("GET", "/v1/audit"): [record(rows, **options)]})
        return ctl("audit", host, *args, check=check)

    return call


def bursts(count, size=100, gap=60_200_000):
    return [b * gap + i * 10 for b in range(count) for i in range(size)]


def test_a_limit_that_was_kept_is_proven_so(audited):
    rows = attempts(bursts(2) + [2 * 60_200_000 + i for i in range(50)])
    rows.reverse()
    (row,) = audited(rows, "-f", "json").json()
    assert {name: window["requests"] for name, window in row["fullest"].items()} == {"sent": 100, "counted": 100, "worst": 100}
    assert (row["verdict"], row["attempts"], row["refused"], row["open"], row["over"]) == ("kept", 250, 0, 0, 0)
    assert (row["used"], row["allowed"]) == (250, 300)
    assert (row["host"], row["limit"], row["rate"]) == ("catfact.ninja:443", "cats", "100/1min")


def test_the_table_of_an_audit(audited):
    r = audited(attempts(bursts(2)))
    assert r.lines()[0].split() == "HOST LIMIT RATE ATTEMPTS REFUSED BY SENDING BY ANSWER AT WORST USE VERDICT".split()
    assert r.lines()[1].split() == ["catfact.ninja:443", "cats", "100/1min", "200", "0", "100", "100", "100", "100.0", "%", "kept"]
    assert len(r.lines()) == 2 and r.err == ""


def test_one_microsecond_too_early_is_found_with_its_window_and_jobs(audited):
    rows = attempts([0, 10, MINUTE - 1, MINUTE + 9], answer_us=0)
    r = audited(rows, rules=[rule(rates=["2/1min"])], check=1)
    assert "broken" in r.lines()[1]
    assert re.search(r"^cats, 2/1min for catfact.ninja:443 is broken: 2 of 4 requests went too early; 3 were sent within 1 min 00 s from 2026-01-02 03:04:05.000000, where 2 may be: 7.1-7.3$", r.out, re.M), r.out
    assert "--since" in r.err
    (row,) = audited(rows, "-f", "json", rules=[rule(rates=["2/1min"])], check=1).json()
    assert row["over"] == 2
    assert row["fullest"]["sent"] == {"requests": 3, "from": "2026-01-02T03:04:05.000000Z", "until": "2026-01-02T03:05:05.000000Z", "jobs": ["7.1-7.3"]}
    # A microsecond later each time, the window's end is open.
    (row,) = audited(attempts([0, 10, MINUTE, MINUTE + 10], answer_us=0), "-f", "json", rules=[rule(rates=["2/1min"])]).json()
    assert row["verdict"] == "kept" and row["fullest"]["sent"]["requests"] == 2


def test_a_limit_counted_at_sending_is_not_proven_kept(audited):
    """Sent evenly enough; but the answers of the first window were late, and the server may have counted them with the second."""
    rows = attempts([0, 10, MINUTE, MINUTE + 10], answer_us=200_000)
    (row,) = audited(rows, "-f", "json", rules=[rule(rates=["2/1min"])], check=1).json()
    assert {name: window["requests"] for name, window in row["fullest"].items()} == {"sent": 2, "counted": 2, "worst": 4}
    assert row["fullest"]["worst"]["jobs"] == ["7.1-7.4"] and "jobs" not in row["fullest"]["sent"]
    assert "4 may have been counted by the server within 1 min 00 s" in audited(rows, rules=[rule(rates=["2/1min"])], check=1).out


def test_each_rate_of_each_rule_is_audited_by_what_counts_against_it(audited):
    rows = attempts([0, 1, 2], limits=["cats", "search"]) + attempts([3, 4], limits=["cats"], batch=8)
    got = audited(rows, "-f", "ndjson", rules=[rule(rates=["5/1min", "4/1s"]), rule("search", rates=["3/1min"]), rule("old", shadowed=True, rates=["1/1d"]),
                                             rule("told", source="learned", rates=["1/1d"])], check=1).rows()
    assert [(row["limit"], row["rate"], row["attempts"], row["fullest"]["sent"]["requests"], row["verdict"]) for row in got] == [
        ("cats", "5/1min", 5, 5, "kept"), ("cats", "4/1s", 5, 5, "broken"), ("search", "3/1min", 3, 3, "kept")]
    assert got[1]["fullest"]["sent"]["jobs"] == ["7.1-7.3", "8.1-8.2"]


def test_a_limit_is_judged_by_what_was_sent_since_it_was_set(audited):
    rows = attempts([0, 10, 20, MINUTE, MINUTE + 10])
    rules = [rule(rates=["2/1min"], since=rfc3339(START + MINUTE))]
    r = audited(rows, rules=rules)
    assert "broken" not in r.out and "cats, 2/1min is judged since it was set, " in r.err and "; 3 requests went before" in r.err
    (row,) = audited(rows, "-f", "json", rules=rules).json()
    assert (row["verdict"], row["attempts"], row["before"], row["since"]) == ("kept", 2, 3, rules[0]["since"])
    (row,) = audited(rows, "-f", "json", rules=[rule(rates=["2/1min"], since=rfc3339(START + MINUTE + 1))]).json()
    assert (row["attempts"], row["before"]) == (1, 4)
    rows = attempts([0, 10, 20, MINUTE, MINUTE + 1, MINUTE + 2])
    (row,) = audited(rows, "-f", "json", rules=rules, check=1).json()
    assert (row["verdict"], row["before"]) == ("broken", 3)


def test_an_attempt_that_ends_while_the_record_is_read_counts_once(audited):
    rows = attempts([30, 10, 20], answer_us=None) + attempts([31, 11, 21, 40])
    rows[1]["attempt"] = 2  # its first has ended long ago
    (row,) = audited(rows, "-f", "json", rules=[rule(rates=["5/1min"])]).json()
    assert (row["verdict"], row["attempts"], row["open"]) == ("kept", 5, 1)


def test_where_all_went_before_a_limit_was_set_nothing_is_proven(audited):
    r = audited(attempts([0, 10, 20]), rules=[rule(rates=["2/1min"], since=rfc3339(START + MINUTE))])
    assert "kept" not in r.out and "broken" not in r.out and "3 requests went before" in r.err
    (row,) = audited(attempts([0, 10, 20]), "-f", "json", rules=[rule(rates=["2/1min"], since=rfc3339(START + MINUTE))]).json()
    assert (row["verdict"], row["attempts"], row["before"]) == (None, 0, 3)


def test_a_limit_that_nobody_knows_the_beginning_of_is_judged_by_all(audited):
    r = audited(attempts([0, 10, 20]), rules=[rule(rates=["2/1min"])], check=1)
    assert "is broken" in r.out and "is not recorded" in r.err


def test_a_rate_of_the_command_line_is_audited_too(audited):
    got = audited(attempts([0, 1, 2]), "--rate", "2/s", "--rate", "3/s", "-f", "ndjson", rules=[], check=1).rows()
    assert [(row["limit"], row["rate"], row["verdict"]) for row in got] == [(None, "2/s", "broken"), (None, "3/s", "kept")]


def test_without_any_rate_the_counts_are_told(audited):
    r = audited(attempts([0, 1, 2], limits=[]), rules=[])
    assert "no limit has a rate for catfact.ninja:443; --rate R measures one" in r.err
    assert r.lines()[1].split() == ["catfact.ninja:443", "3", "0"]
    assert audited(attempts([0], limits=[]), "-f", "json", rules=[]).json()[0]["attempts"] == 1


def test_refusals_are_counted(audited):
    """By the daemon's word: of two answers 503 only one had a Retry-After."""
    rows = attempts([0, 1], status=429, refused=True) + attempts([2], status=503, refused=True, batch=8) + attempts([3], status=503, batch=9)
    assert audited(rows, "-f", "json").json()[0]["refused"] == 3


def test_an_open_attempt_is_in_flight_up_to_now(audited):
    now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1e6)  # on a machine that has just been started it is small
    rows = attempts([now - 10 * SECOND], answer_us=None, status=None) + attempts([now - 5 * SECOND], batch=8)
    (row,) = audited(rows, "-f", "json", rules=[rule(rates=["1/1s"])], check=1).json()
    assert row["open"] == 1
    assert [row["fullest"][m]["requests"] for m in ("sent", "counted", "worst")] == [1, 1, 2]


def test_windows_are_not_laid_across_a_reboot(audited):
    rows = attempts([100, 200]) + attempts([150, 250], batch=8, boot=2)
    (row,) = audited(rows, "-f", "json", rules=[rule(rates=["2/1min"])]).json()
    assert (row["attempts"], row["fullest"]["worst"]["requests"], row["used"], row["allowed"]) == (4, 2, 4, 4)


def test_csv_of_an_audit(audited):
    (row,) = csv.DictReader(io.StringIO(audited(attempts([0, 1]), "-f", "csv").out))
    assert (row["limit"], row["rate"], row["attempts"], row["fullest_sent"], row["fullest_worst"], row["verdict"]) == ("cats", "100/1min", "2", "2", "2", "kept")
    assert row["fullest_sent_from"] == "2026-01-02T03:04:05.000000Z"


def test_nothing_recorded_is_told_as_such(audited):
    r = audited([], check=4)
    assert "nothing that was sent to catfact.ninja:443 is recorded" in r.err and r.out == ""
    r = audited([], "--since", "2h", "-f", "json", host="catfact.ninja", check=4)
    assert "in that time" in r.err and r.out == "[]\n"


def test_attempts_whose_connection_failed_are_counted_apart(audited):
    unsent = [{"job": f"7.{n}", "attempt": 1, "boot": None, "sent_us": None, "counted_us": None, "began_at": rfc3339(START),
               "status": None, "refused": False, "limits": ["cats"]} for n in (8, 9)]
    r = audited(attempts(bursts(2)) + unsent)
    assert "200" in r.out and "kept" in r.out
    assert "besides, 2 attempts sent no request, as the connection failed; rates count them all the same" in r.err
    (row,) = audited(attempts(bursts(2)) + unsent, "-f", "json").json()
    assert (row["attempts"], row["unsent"], row["verdict"]) == (200, 2, "kept")
    assert "sent no request" not in audited(attempts(bursts(2))).err


def test_a_record_that_breaks_off_proves_nothing(audited):
    r = audited(attempts([0, 1]), "-f", "json", check=3, broken_off=True)
    with pytest.raises(json.JSONDecodeError):
        r.json()


def test_a_host_is_asked_for_at_each_port_it_may_have_within_the_time_given(audited):
    audited(attempts([0]), "--since", "2026-01-02T03:04:05Z", "--until", "2026-01-02 03:05", host="catfact.ninja")
    assert asked(audited.server, "GET", "/v1/audit") == [
        f"host=catfact.ninja:{port}&since=2026-01-02T03:04:05.000000Z&until=2026-01-02T03:05:00.000000Z&unsent=1" for port in (443, 80)]
    audited(attempts([0]), host="http://catfact.ninja/fact")
    assert asked(audited.server, "GET", "/v1/audit") == ["host=catfact.ninja:80&unsent=1"]
    assert '"a b" is no host' in audited([], host="a b", check=2).err


def test_a_long_record_takes_the_memory_that_is_documented(play, scratch, peak_of):
    """100 000 attempts: 40 bytes each, 24 to measure them, half as much again while room grows; what else there is does not grow."""

    def peak_kib(count):
        rows = attempts([i * 1000 for i in range(count)])
        play({("GET", "/v1/limits"): [(200, {"limits": [rule()], "hosts": []})], ("GET", "/v1/audit"): [record(rows)]})
        r, peak = peak_of([BUILD / "fanoutctl", "-S", scratch / "s", "-f", "json", "audit", "catfact.ninja:443"], check=int(count > 100))
        assert r.json()[0]["fullest"]["sent"]["requests"] == min(count, 60_000)
        return peak

    # A sanitizer has an eighth of its own, and copies what grows: old and new are there together.
    room = 100_000 * (40 * 5 // 2 + 24) * 9 // 8 if sanitized() else 100_000 * 64 * 3 // 2
    assert (peak_kib(100_000) - peak_kib(10)) * 1024 <= room + 1_000_000
