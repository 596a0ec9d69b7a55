"""The device under asyncio: the same flows and methods, as coroutines.

    from microdps.aio import Device
    device = Device(identity, id_scope=…, registration_id=…)
    await device.send({"temperature": 30})

Each can be cancelled at every await: the connection is closed then, and the device stays usable;
whether the hub has taken a message that was being sent is unknown. One call runs at a time; others
wait for it. feed is not called: feed a watchdog in a task.
"""

import asyncio

from microdps import device
from microdps.driver.aio import AioLink


class Device(device.Device):
    """microdps.device.Device under asyncio: provision() and send() are coroutines."""

    def _driver(self, *arguments):
        self._lock = asyncio.Lock()
        return AioLink(*arguments)

    async def _run(self, flow):
        async with self._lock:
            try:
                return await self.link.run(flow)
            finally:
                self._keep()

    async def queue(self, data, properties=None, **system):
        async with self._lock:
            device.Device.queue(self, data, properties, **system)

    async def ping(self):
        if self.session.mqtt:
            await self._run(self.session.mqtt.ping(self.session))
