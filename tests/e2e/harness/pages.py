"""Ways through the pages of the API simulator, for the tests of the simulator itself."""

import re
import urllib.parse

from harness.http import fetch


def ids(answer):
    return [item["id"] for item in answer.json()["result"]]


def at(pages, **query):
    return fetch(f"{pages.url}?{urllib.parse.urlencode(query)}")


def walk(pages, step, first=None):
    """All items from `first` (the URL) on; `step(answer, url)` is the next URL, or None."""
    url, seen = first or pages.url, []
    for _ in range(100):
        answer = fetch(url)
        assert answer.status == 200, answer
        seen += ids(answer)
        url = step(answer, url)
        if not url:
            return seen
    raise AssertionError(f"no end after {len(seen)} items")


def by_cursor(pages, **query):
    def step(answer, _):
        cursor = answer.json()["next_cursor"]
        return cursor and f"{pages.url}?{urllib.parse.urlencode({'cursor': cursor, **query})}"

    return step


def by_link(answer, url):
    """Good for the plain form."""
    found = re.search(r'<([^>]*)>; rel="next"', answer.headers["Link"] or "")
    return found and urllib.parse.urljoin(url, found[1])


ALL = list(range(1, 26))
