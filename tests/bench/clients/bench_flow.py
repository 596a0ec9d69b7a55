"""`make bench` runs this on MicroPython: register, poll twice, send messages.

main(IDENTITY, DPS, CLIENT, MESSAGES, PLAIN): CLIENT is the module beside this one whose Client is
measured. PLAIN is "plain" for TCP without TLS. Prints name value pairs.
"""

import gc

PROVISION = "/0ne00111111/registrations/device-01/"
API = "?api-version=2021-06-01"
REGISTER = PROVISION + "register" + API
OPERATION = PROVISION + "operations/5.506603669bd3e2bf.b3602f8f" + API
EVENTS = "/devices/device-01/messages/events?api-version=2020-03-13"
DATA = {"temperature": 21.5, "humidity": 48, "battery": 3.71, "up": True}


def live():
    gc.collect()
    return gc.mem_alloc()


def main(folder, dps, client, messages, plain):
    from time import ticks_diff, ticks_ms

    client = __import__("bench_" + client).Client(folder, dps, plain == "plain")
    client.provision()
    for _ in range(10):
        client.send()
    print("live_after_10", live())
    gc.disable()
    before = gc.mem_alloc()
    client.send()
    print("allocated", gc.mem_alloc() - before)
    gc.enable()
    start = ticks_ms()
    for _ in range(int(messages) - 11):
        client.send()
    print("ms", ticks_diff(ticks_ms(), start))
    print("live_at_end", live())
