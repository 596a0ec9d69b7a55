"""Sends messages under asyncio while another task runs, and prints its longest pause.

For both interpreters.

FIRMWARE IDENTITY ID_SCOPE REGISTRATION_ID HOST MODE, where MODE is "send" or "cancel"
"""

import asyncio
import sys
import time

sys.path.insert(0, sys.argv[1])

from microdps.aio import Device
from microdps.errors import Error
from microdps.identity import Identity

PERIOD_S = 0.05
beats = []


async def blink():
    while True:
        beats.append(time.time())
        await asyncio.sleep(PERIOD_S)


async def main(identity, id_scope, registration_id, host, mode):
    device = Device(
        Identity.from_files(identity), id_scope, registration_id, host, timeout_ms=10_000
    )
    rhythm = asyncio.create_task(blink())
    assignment = await device.provision()
    print("assigned", assignment.device_id)
    if mode == "cancel":
        # Cancel at every point of a message, the handshake included. The device stays usable.
        for ms in (0, 1, 2, 5, 10, 50, 200):
            task = asyncio.create_task(device.send({"cancelled": ms}))
            await asyncio.sleep(ms / 1000)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
    # Two messages at once: the second one waits for the first.
    first = asyncio.create_task(device.send({"i": 1}))
    second = asyncio.create_task(device.send({"i": 2}))
    await first
    await second
    rhythm.cancel()
    gaps = [beats[i + 1] - beats[i] for i in range(len(beats) - 1)]
    print("sent 2")
    print("beats", len(gaps), int(max(gaps) * 1000))


try:
    asyncio.run(main(*sys.argv[2:]))
except Error as error:
    print("error", type(error).__name__, error.args[0], 0)
    print(error)
