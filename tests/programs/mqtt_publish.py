"""Publishes messages to any broker with the package's own MQTT, and prints each result.

For both interpreters.

FIRMWARE IDENTITY HUB DEVICE_ID MESSAGES
"""

import sys

sys.path.insert(0, sys.argv[1])

from microdps.driver.link import Link
from microdps.errors import Error
from microdps.identity import Identity
from microdps.protocol.http import Connection
from microdps.protocol.mqtt import Mqtt, topic

_, _, identity, hub, device_id, messages = sys.argv
link = Link(Identity.from_files(identity))
mqtt = Mqtt(Connection(512))
for i in range(int(messages)):
    body = b"x" * 1500 if i % 2 else b'{"i": %d}' % i
    try:
        link.run(mqtt.send(hub, device_id, topic(device_id, "n=%d" % i), body, 3000))
        print("accepted", i)
    except Error as error:
        print("error", type(error).__name__, error.args[0])
link.close()
