"""The driver that runs flows under asyncio."""

import asyncio
import select
import sys
from time import ticks_diff, ticks_ms

from microdps.driver.link import Link
from microdps.errors import LinkError

if sys.implementation.name == "micropython":
    from asyncio import core, sleep_ms, wait_for_ms  # type: ignore

    def _ready(stream, flags: int):
        # What asyncio's own streams wait by; there is no public way.
        if flags == select.POLLIN:
            yield core._io_queue.queue_read(stream)
        else:
            yield core._io_queue.queue_write(stream)
else:
    from microdps.driver.cpython import ready as _ready  # type: ignore
    from microdps.driver.cpython import sleep_async as sleep_ms  # type: ignore
    from microdps.driver.cpython import wait_for_ms  # type: ignore


class AioLink(Link):
    """Runs flows, awaiting where Link waits."""

    async def run(self, flow):
        """Run a flow to its end → what it returns. Raises what it raises; the link stays open."""
        answer = error = None
        try:
            while True:
                try:
                    request = flow.throw(error) if error else flow.send(answer)
                except StopIteration as stop:
                    return stop.value
                answer = error = None
                try:
                    answer = await self.step(*request)
                except Exception as failure:  # a network stack may raise anything
                    error = self.failed(failure)
        except MemoryError as failure:
            raise self.failed(failure, True)
        except (asyncio.CancelledError, KeyboardInterrupt):
            self.close()  # what is on its way is not the next flow's
            flow.close()
            raise

    async def step(self, what, argument):
        if what == "recv":
            return await self.recv(argument)
        if what == "send":
            return await self.send(argument)
        if what == "now":
            return self.now()
        if what == "open":
            return self.keeps(argument) or await self.open()
        return self.close() if what == "close" else await sleep_ms(argument)

    async def open(self):
        from microdps.driver.connect import connect

        for _ in connect(self):
            await self._until(self.raw, select.POLLOUT)
        return False

    async def send(self, buffer):
        while buffer:
            n = self.tls.write(buffer)
            if n:
                self.phase = "answer"
                buffer = buffer[n:]
            else:
                await self._until(self.tls, select.POLLOUT)

    async def recv(self, buffer):
        while True:
            n = self.tls.readinto(buffer)
            if n is not None:
                return n
            await self._until(self.raw, select.POLLIN)

    async def _until(self, stream, flags: int):
        try:
            await wait_for_ms(_ready(stream, flags), ticks_diff(self.deadline, ticks_ms()))
        except asyncio.TimeoutError:  # noqa: UP041  MicroPython has no other
            raise LinkError("timeout-" + self.phase, self.where)
