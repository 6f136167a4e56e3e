"""A server that answers when the test says so: what must hold while a request runs is shown without a guess at how long it does."""

import collections
import threading

from harness.worker import Hostile


class Gate(Hostile):
    """Holds every request until it is let through, then answers 200 with a small body.

    `held` are the targets of those that wait, in order of arrival; `seen` those of all that ever came.
    """

    def __init__(self):
        self.changed = threading.Condition()
        self.held, self.seen, self.peak = [], [], 0
        self.passes, self.is_open = collections.Counter(), False
        super().__init__(self.pass_through)

    def pass_through(self, connection):
        connection.sock.settimeout(None)
        while head := connection.request():
            target = head.split()[1]
            with self.changed:
                self.seen.append(target)
                self.held.append(target)
                self.peak = max(self.peak, len(self.held))
                self.changed.wait_for(lambda: self.is_open or self.passes[target] > 0)
                self.passes[target] -= not self.is_open
                self.held.remove(target)
            connection.answer(b"" if head.startswith("HEAD") else self.body(target))

    def body(self, target):
        return b"through\n"

    def let(self, target):
        """One request for this target may go through, now or when it comes."""
        with self.changed:
            self.passes[target] += 1
            self.changed.notify_all()

    def open(self):
        """All may go through."""
        with self.changed:
            self.is_open = True
            self.changed.notify_all()

    def shut(self):
        with self.changed:
            self.is_open = False
