"""What `make bench` measures on MicroPython: provision, send messages, say what it took.

FOLDER IDENTITY HOST MESSAGES MODE, where MODE is "plain" or "heap". Prints name value pairs.
"""

import gc
import sys

sys.path[:] = [sys.argv[1], ".frozen"]

from microdps.device import Device
from microdps.identity import Identity

_, _, identity, host, messages, mode = sys.argv


def live():
    gc.collect()
    return gc.mem_alloc()


device = Device(Identity.from_files(identity), "0ne00111111", "device-01", host)

if mode == "heap":
    # The live heap whenever the device waits for bytes.
    recv = device._link.recv
    peak = 0

    def watch(buffer, deadline):
        global peak
        peak = max(peak, live())
        return recv(buffer, deadline)

    device._link.recv = watch

device.provision()
data = {"temperature": 21.5, "humidity": 48, "battery": 3.71, "up": True}
n = int(messages)
for _ in range(10):
    device.send(data)
after_10 = live()
gc.disable()
before = gc.mem_alloc()
device.send(data)
allocated = gc.mem_alloc() - before
gc.enable()
for _ in range(n - 11):
    device.send(data)
print("allocated", allocated)
print("live_after_10", after_10)
print("live_at_end", live())
if mode == "heap":
    print("live_peak", peak)
