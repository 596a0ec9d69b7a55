"""Provisions a device, sends messages, and prints the result. For both interpreters.

FIRMWARE IDENTITY ID_SCOPE REGISTRATION_ID HOST TIMEOUT_MS MESSAGES TRANSPORT
"""

import sys
import time

sys.path.insert(0, sys.argv[1])

from microdps.device import Device
from microdps.errors import Error
from microdps.identity import Identity


def main(identity, id_scope, registration_id, host, timeout_ms, messages, transport):
    device = Device(
        Identity.from_files(identity),
        id_scope,
        registration_id,
        host,
        int(timeout_ms),
        transport=transport,
    )
    assignment = device.provision()
    print("assigned", assignment.hub, assignment.device_id, assignment.substatus)
    for i in range(int(messages)):
        device.send({"temperature": 30, "i": i})
    print("sent", messages)


start = time.time()
try:
    main(*sys.argv[2:])
except Error as error:
    print("error", type(error).__name__, error.args[0], int((time.time() - start) * 1000))
    print(error)
