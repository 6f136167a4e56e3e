"""fanoutd with workers that are played by a test: they have seen any address, and answer what they are told to."""

import os
import select
import shutil
import socket
import struct
import threading

from harness.process import BUILD
from harness.worker import ALIVE, CAPACITY, CAUSES, HELLO, JOB, OUTCOME, SETTINGS, STOP, VERSION, Reader, boot_us, data, end_listening, frame, text

# Stands where fanout-worker is looked for: hands its channel to the test, and ends when the test is done with it.
STAND_IN = """#!/usr/bin/python3
import socket
s = socket.socket(socket.AF_UNIX)
s.connect({path!r})
socket.send_fds(s, [b"w"], [3])
s.recv(1)
"""


class Job:
    """struct message_job."""

    def __init__(self, payload):
        r = Reader(payload)
        self.slots, self.lane, self.job, self.n = r.take("I"), r.take("Q"), r.take("Q"), r.take("I")
        self.timeout_ms, self.connect_timeout_ms, self.max_body_bytes = r.take("q"), r.take("q"), r.take("q")
        self.method, self.url, self.headers, self.user, self.body = r.text(), r.text(), r.text(), r.text(), r.data()
        self.has_body, self.from_public = r.take("?"), r.take("?")
        self.fail_if, self.page_program, self.page_context, self.page_param = (r.text() for _ in range(4))
        assert r.at == len(payload)


def page_said(next_url):
    """A struct message_page: an item, and where the next page is; "": nowhere."""
    said = struct.pack("=q", 1) + text(next_url) + struct.pack("=?B?qq", True, 0, False, -1, -1)
    return said + text("") + text("") + text("") + struct.pack("=QQ", hash(next_url) & 0xFFFF, 1) + data(b"")


def outcome(job, cause="response", status=200, remote_ip="127.0.0.1", redirect_url="", error="", headers="", body=b"", next_url=None):
    """A frame with a struct message_outcome; `next_url` is where a page says that the next one is."""
    now = boot_us()
    payload = struct.pack("=QIII??I", job.job, job.n, CAUSES.index(cause), status, True, False, 11)
    payload += struct.pack("=3q", now, now if status else 0, now) + struct.pack("=7q", *[0] * 7)
    payload += struct.pack("=2q", len(body), len(body))
    payload += text("text/plain") + text(remote_ip) + text(redirect_url) + text(error) + text(headers) + data(body)
    payload += struct.pack("=5q?", -1, -1, -1, 0, 0, next_url is not None)
    payload += b"" if next_url is None else page_said(next_url)
    return frame(OUTCOME, payload)


class Workers:
    """`answer(job)` returns what outcome() is to say of a job; what was asked for is in .jobs."""

    def __init__(self, directory, answer, capacity=8):
        self.answer, self.capacity, self.jobs = answer, capacity, []
        self.path = str(directory / "w")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        shutil.copy2(BUILD / "fanoutd", directory / "fanoutd")
        stand_in = directory / "fanout-worker"
        stand_in.write_text(STAND_IN.format(path=self.path))
        stand_in.chmod(0o755)
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                control, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.try_to_play, args=(control,), daemon=True).start()

    def try_to_play(self, control):
        try:
            self.play(control)
        except OSError:
            pass  # its daemon died, and had not read all

    def play(self, control):
        """One worker, until it is told to stop or its daemon is gone."""
        _, fds, _, _ = socket.recv_fds(control, 1, 1)
        channel, buffer = socket.socket(fileno=fds[0]), b""
        with control, channel:
            while True:
                if not select.select([channel], [], [], 1)[0]:
                    channel.sendall(frame(ALIVE))
                    continue
                got = channel.recv(1 << 20)
                if not got:
                    return
                buffer += got
                while len(buffer) >= 4 and len(buffer) >= 4 + struct.unpack_from("=I", buffer)[0]:
                    length = struct.unpack_from("=I", buffer)[0]
                    kind, payload, buffer = buffer[4], buffer[5 : 4 + length], buffer[4 + length :]
                    if kind == STOP:
                        return
                    self.take(channel, kind, payload)

    def take(self, channel, kind, payload):
        if kind == SETTINGS:
            channel.sendall(frame(HELLO, struct.pack("=II", VERSION, os.getpid())) + frame(CAPACITY, struct.pack("=I", self.capacity)))
        elif kind == JOB:
            job = Job(payload)
            self.jobs.append(job)
            channel.sendall(outcome(job, **self.answer(job)))

    def close(self):
        end_listening(self.listener, self.thread)
