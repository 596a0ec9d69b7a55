"""The device under asyncio: the same flows and methods, as coroutines.

    from microdps.aio import Device
    device = Device(identity, id_scope=…, registration_id=…)
    await device.send({"temperature": 30})

Each can be cancelled at every await: the connection is closed then, and the device stays usable;
whether the hub has taken a message that was being sent is unknown. One call runs at a time; others
wait for it.
"""

import asyncio
import select
import sys

from microdps import device
from microdps.errors import LinkError
from microdps.link import Link

if sys.implementation.name == "micropython":
    from asyncio import core, sleep_ms, wait_for_ms  # type: ignore

    def _ready(stream, flags: int):
        # What asyncio's own streams wait by; there is no public way.
        if flags == select.POLLIN:
            yield core._io_queue.queue_read(stream)
        else:
            yield core._io_queue.queue_write(stream)
else:
    from microdps.cpython import ready as _ready  # type: ignore
    from microdps.cpython import sleep_async as sleep_ms  # type: ignore
    from microdps.cpython import wait_for_ms  # type: ignore


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
                what, argument, deadline = request
                try:
                    if what == "recv":
                        answer = await self.recv(argument, deadline)
                    elif what == "send":
                        await self.send(argument, deadline)
                    elif what == "open":
                        await self.open(argument, deadline)
                    elif what == "sleep":
                        await sleep_ms(argument)
                    elif what == "now":
                        answer = self.now()
                    else:
                        self.close()
                except (OSError, ValueError, LinkError) as failure:
                    error = self._failed(failure)
        except asyncio.CancelledError:
            self.close()
            flow.close()
            raise

    async def open(self, host, deadline: int):
        addresses = self._resolve(host)
        while not self.tls:
            try:
                self._begin(addresses.pop(0))
                await self._await(self.raw, select.POLLOUT, deadline)
                self._watch(self.raw, select.POLLOUT)
                flags = [event[1] for event in self._poll.poll(0)]
                self._unwatch()
                self._connected(flags[0] if flags else 0, host[0])
            except (OSError, LinkError):
                if not addresses:
                    raise

    async def send(self, buffer, deadline: int):
        view = memoryview(buffer)
        while view:
            n = self.tls.write(view)
            if n:
                self.written = True
                view = view[n:]
            else:
                await self._await(self.tls, select.POLLOUT, deadline)

    async def recv(self, buffer, deadline):
        while True:
            n = self.tls.readinto(buffer)
            if n is not None or deadline is None:
                return n
            await self._await(self.raw, select.POLLIN, deadline)

    async def _await(self, stream, flags: int, deadline: int):
        try:
            await wait_for_ms(_ready(stream, flags), self._left(deadline))
        except asyncio.TimeoutError:  # noqa: UP041  MicroPython has no other
            self._left(deadline)  # raises, unless it was early


class Device(device.Device):
    """microdps.device.Device under asyncio: provision() and send() are coroutines."""

    def _driver(self, *arguments):
        self._lock = asyncio.Lock()
        return AioLink(*arguments)

    async def _run(self, flow):
        async with self._lock:
            try:
                return await self._link.run(flow)
            except asyncio.CancelledError:
                self._session.forget()
                raise
            finally:
                self._keep()

    async def ping(self):
        if self._session.mqtt:
            await self._run(self._session.mqtt.ping(self._session))
