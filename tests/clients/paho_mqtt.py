"""paho-mqtt, by Azure's names: DPS, then the hub.

ID_SCOPE REGISTRATION_ID CERT KEY
"""

import json
import queue
import sys

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

import steps

ID_SCOPE, NAME, CERT, KEY = sys.argv[1:]
DPS = "global.azure-devices-provisioning.net"
found: dict = {}


class Client:
    """A connection, and the messages that come on it."""

    def __init__(self, host, user):
        self.messages, self.acknowledged = queue.Queue(), queue.Queue()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, NAME)
        self.client.tls_set(steps.ROOT, CERT, KEY)
        self.client.username_pw_set(user)
        self.client.on_message = lambda client, data, message: self.messages.put(message)
        self.client.on_subscribe = lambda *given: self.acknowledged.put(given[3])
        self.client.connect(host, 8883)
        self.client.loop_start()

    def subscribe(self, topic):
        self.client.subscribe(topic, 1)
        steps.check(not self.acknowledged.get(timeout=steps.TIMEOUT_S)[0].is_failure, topic)

    def ask(self, topic, body="{}"):
        self.client.publish(topic, body, 1)
        return self.messages.get(timeout=steps.TIMEOUT_S)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def provision():
    client = Client(DPS, f"{ID_SCOPE}/registrations/{NAME}/api-version=2019-03-31")
    client.subscribe("$dps/registrations/res/#")
    answer = client.ask("$dps/registrations/PUT/iotdps-register/?$rid=1")
    operation = json.loads(answer.payload)["operationId"]
    topic = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId="
    state = json.loads(client.ask(f"{topic}{operation}").payload)["registrationState"]
    found["hub"] = state["assignedHub"]
    client.close()


def connect():
    found["client"] = Client(found["hub"], f"{found['hub']}/{NAME}/?api-version=2021-04-12")


def send():
    info = found["client"].client.publish(f"devices/{NAME}/messages/events/a=b", "{}", 1)
    info.wait_for_publish(steps.TIMEOUT_S)
    steps.check(info.is_published())


def receive():
    found["client"].subscribe(f"devices/{NAME}/messages/devicebound/#")
    steps.admin("POST", "devicebound", {"deviceId": NAME, "body": "hello"})
    message = found["client"].messages.get(timeout=steps.TIMEOUT_S)
    steps.check(message.payload == b"hello")


def twin():
    found["client"].subscribe("$iothub/twin/res/#")
    answer = found["client"].ask("$iothub/twin/GET/?$rid=1", "")
    steps.check("desired" in json.loads(answer.payload))


def close():
    found["client"].close()


steps.run((step.__name__, step) for step in (provision, connect, send, receive, twin, close))
