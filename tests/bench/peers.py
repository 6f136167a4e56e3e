"""Other ways to fetch from an API that allows N requests in W seconds, as people write them with asyncio and aiohttp.

    peers.py STRATEGY URL COUNT N W        prints how many answers with status 200 were obtained

plain: everything at once. bucket: a token bucket of N that fills evenly in W. log: at most N sent in any W (most limiter
libraries do one of these two). reset: everything at once; whoever is refused waits as long as Retry-After says, and so does
everybody who has not sent yet.
"""

import asyncio
import collections
import sys
import time

import aiohttp


class Bucket:
    def __init__(self, n, window_s):
        self.tokens, self.burst, self.per_s, self.at = n, n, n / window_s, time.monotonic()

    async def take(self):
        while True:
            now = time.monotonic()
            self.tokens, self.at = min(self.burst, self.tokens + (now - self.at) * self.per_s), now
            if self.tokens >= 1:
                self.tokens -= 1
                return
            await asyncio.sleep((1 - self.tokens) / self.per_s)


class Log:
    def __init__(self, n, window_s):
        self.n, self.window_s, self.sent = n, window_s, collections.deque()

    async def take(self):
        while True:
            now = time.monotonic()
            while self.sent and self.sent[0] <= now - self.window_s:
                self.sent.popleft()
            if len(self.sent) < self.n:
                self.sent.append(now)
                return
            await asyncio.sleep(self.sent[0] + self.window_s - now)


async def once(session, url):
    async with session.get(url) as response:
        await response.read()
        return response


async def plain(session, urls, n, window_s):
    answers = await asyncio.gather(*(once(session, url) for url in urls))
    return sum(a.status == 200 for a in answers)


async def limited(session, urls, limiter):
    async def one(url):
        await limiter.take()
        return await once(session, url)

    answers = await asyncio.gather(*(one(url) for url in urls))
    return sum(a.status == 200 for a in answers)


async def bucket(session, urls, n, window_s):
    return await limited(session, urls, Bucket(n, window_s))


async def log(session, urls, n, window_s):
    return await limited(session, urls, Log(n, window_s))


async def reset(session, urls, n, window_s):
    open_again = 0.0

    async def one(url):
        nonlocal open_again
        while True:
            while (wait := open_again - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            answer = await once(session, url)
            if answer.status != 429:
                return answer
            open_again = max(open_again, time.monotonic() + float(answer.headers["Retry-After"]))

    answers = await asyncio.gather(*(one(url) for url in urls))
    return sum(a.status == 200 for a in answers)


async def main(strategy, url, count, n, window_s):
    strategies = {f.__name__: f for f in (plain, bucket, log, reset)}
    async with aiohttp.ClientSession() as session:
        urls = [f"{url}/{i}" for i in range(int(count))]
        print(await strategies[strategy](session, urls, int(n), float(window_s)))


asyncio.run(main(*sys.argv[1:]))
