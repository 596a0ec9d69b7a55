"""Queues messages, and delivers them in one go. For both interpreters.

FIRMWARE IDENTITY ID_SCOPE REGISTRATION_ID DPS FOLDER TRANSPORT MESSAGES
"""

import sys

sys.path.insert(0, sys.argv[1])

from microdps.device import Device
from microdps.identity import Identity

_, _, identity, id_scope, registration_id, dps, folder, transport, messages = sys.argv
identity = Identity.from_files(identity)
device = Device(
    identity, id_scope, registration_id, dps, transport=transport, log=print, outbox=folder
)
for i in range(int(messages)):
    device.queue(b"\xff" * 10 if i == 1 else {"i": i}, {"n": str(i)})
print("delivered", device.flush())
device.send({"i": "direct"})
device.close()
