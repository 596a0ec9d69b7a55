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
                except LinkError as failure:
                    self.close()
                    error = failure
        except asyncio.CancelledError:
            self.close()
            flow.close()
            raise

    async def open(self, host, deadline: int):
        addresses = self._resolve(host)
        while True:
            try:
                self._begin(addresses.pop(0))
                await self._await(self._raw, select.POLLOUT, deadline, "connect")
                self._poll.register(self._raw, select.POLLOUT)
                flags = [event[1] for event in self._poll.poll(0)]
                self._poll.unregister(self._raw)
                self._connected(flags[0] if flags else 0)
                break
            except LinkError:
                self.close()
                if not addresses:
                    raise
        self._wrap(host[0])

    async def send(self, buffer, deadline: int):
        view = memoryview(buffer)
        done = 0
        while done < len(view):
            n = self._write(view[done:])
            done += n
            if not n:
                await self._await(self._tls, select.POLLOUT, deadline, self._phase())

    async def recv(self, buffer, deadline):
        while True:
            n = self._read(buffer)
            if n is not None or deadline is None:
                return n
            await self._await(self._raw, select.POLLIN, deadline, "answer")

    async def _await(self, stream, flags: int, deadline: int, phase: str):
        try:
            await wait_for_ms(_ready(stream, flags), self._left(deadline, phase))
        except asyncio.TimeoutError:  # noqa: UP041  MicroPython has no other
            self._left(deadline, phase)  # raises, unless it was early


class Device(device.Device):
    """microdps.device.Device under asyncio: provision() and send() are coroutines."""

    def _driver(self, identity):
        self._lock = asyncio.Lock()
        return AioLink(identity)

    async def provision(self, payload=None):
        self._session.payload = payload
        return await self._run(self._session.provision())

    async def send(self, data, properties=None, **system):
        await self._run(self._session.send(data, self._fields(properties, system)))

    async def _run(self, flow):
        async with self._lock:
            before = self._before()
            try:
                return await self._link.run(flow)
            except asyncio.CancelledError:
                self._session.connection.forget()
                raise
            finally:
                self._after(before)
