"""The simulated IoT hub over MQTT 3.1.1: telemetry, messages for devices, twins, direct methods.

Sources: "Communicate with an IoT hub using the MQTT protocol" (Azure documentation). A refused
certificate gets return code 5: azure-iot-sdk-c reports this of the real hub. Inferred: a hub drops
a message for a device after it was sent 10 times without a PUBACK, as over HTTPS.
"""

import json
import re

from twisted.internet import defer, reactor

from ..call import ApiError
from ..tls import Client
from . import mqtt_topics as topics
from .device_api import MAX_DELIVERIES, Hub
from .mqtt_connection import Connect, MqttConnection, MqttServer, Publish, RefusedError
from .mqtt_packets import BAD_CLIENT_ID, UNAUTHORIZED, ViolationError
from .twin import device_view, parse_patch, patch_twin, twin_of

MESSAGE_LIMIT = 256 * 1024

# How many messages for a device are sent before the first of them is acknowledged.
WINDOW = 50

# The lock of a message on its way over MQTT begins like this, and ends with the connection.
LOCK = "mqtt:"
NEVER = 1e18

API_VERSION = re.compile(r"\?(.*&)?api-version=\d{4}-\d\d-\d\d(-preview)?(&.*)?")


class DeviceConnection(MqttConnection):
    """The connection of one device."""

    def __init__(self, hub: Hub):
        super().__init__(hub)
        self.hub = hub
        self._clean = True
        self._will: tuple[str, bytes] | None = None
        self._next_id = 0
        self._sent: dict[int, str] = {}  # packet ID → lock of the message
        self._calls: dict[str, defer.Deferred] = {}  # request ID → of a direct method

    def on_connect(self, connect: Connect, client: Client) -> bool:
        host, _, rest = connect.user.partition("/")
        device_id, _, query = rest.partition("/")
        if not connect.client_id or connect.client_id != device_id:
            raise RefusedError(
                BAD_CLIENT_ID,
                f"the client ID is {connect.client_id!r}, and the user name is {connect.user!r}:"
                " HUB/CLIENT-ID/?api-version=2021-04-12",
            )
        if host.lower() not in self.hub.names or not API_VERSION.fullmatch(query):
            raise RefusedError(
                UNAUTHORIZED,
                f"the user name is {connect.user!r}, and not {self.hub.host}/{device_id}"
                "/?api-version=2021-04-12",
            )
        try:
            self.hub.authorize(client, device_id)
        except ApiError as error:
            raise RefusedError(UNAUTHORIZED, error.log_text) from error
        return self._open_session(connect, device_id)

    def _open_session(self, connect: Connect, device_id: str) -> bool:
        """End the device's older connection, and take over its session → was there one?"""
        self.hub.context.commits.begin()
        before = self.hub.connections.pop(device_id, None)
        if before:
            before.end("the device has connected again")
            before.release()
        self.hub.connections[device_id] = self
        self._clean, self._will = connect.clean, connect.will
        sessions = self.hub.store.sessions
        found = None if connect.clean else sessions.get(self.hub.host, device_id)
        self.filters = dict(found or {})
        if connect.clean:
            sessions.delete(self.hub.host, device_id)
        return found is not None

    def on_lost(self, by_client: bool) -> None:
        if self.hub.connections.get(self.name) is self:
            del self.hub.connections[self.name]
            self.release()
        for call in self._calls.values():
            call.errback(ApiError(404, 404103, "The device is not online"))
        self._calls.clear()
        if self._will and not by_client:
            topic, payload = self._will
            self._keep_will(Publish(topic, payload, False, b""))

    def _keep_will(self, will: Publish) -> None:
        prefix = topics.events(self.name)
        if not will.topic.startswith(prefix) or len(will.payload) > MESSAGE_LIMIT:
            self.record("PUBLISH", 400, "a last will that is no telemetry is ignored", will.topic)
            return
        self.hub.context.commits.begin()
        properties = topics.read_bag(will.topic.removeprefix(prefix))
        properties["iothub-app-iothub-messagetype"] = "Will"
        try:
            self.hub.accept(self.name, properties, will.payload)
            self.record("PUBLISH", 200, "", will.topic)
        except ApiError as error:
            self.record("PUBLISH", error.status, error.log_text, will.topic)

    def release(self) -> None:
        """Let the messages that were not acknowledged be delivered again."""
        self.hub.context.commits.begin()
        self._sent.clear()
        queue = self.hub.store.cloud_to_device
        dead = queue.unlock(self.hub.host, self.name, LOCK, MAX_DELIVERIES)
        if dead:
            why = f"{dead} messages for the device were delivered {MAX_DELIVERIES} times without"
            self.record("DEVICEBOUND", 0, f"{why} a PUBACK, and are dead-lettered")

    def on_publish(self, publish: Publish) -> bool:
        topic = publish.topic
        if topic.startswith(topics.events(self.name)):
            self._telemetry(publish)
            return True
        if found := topics.GET_TWIN.fullmatch(topic):
            self._get_twin(found[1])
            return True
        if found := topics.PATCH_REPORTED.fullmatch(topic):
            self._patch_reported(found[1], publish.payload)
            return True
        if found := topics.METHOD_ANSWER.fullmatch(topic):
            self._method_answer(found[2], int(found[1]), publish.payload)
            return True
        if not topic.startswith(("$", f"devices/{self.name}/")):
            raise ViolationError(f"topic {topic}")
        self.record("PUBLISH", 400, "this topic is not simulated: ignored", topic)
        return False

    def _telemetry(self, publish: Publish) -> None:
        """Keep a message. Raises ViolationError."""
        if len(publish.payload) > MESSAGE_LIMIT:
            raise ViolationError("a message over 256 KB")
        properties = topics.read_bag(publish.topic.removeprefix(topics.events(self.name)))
        if publish.retain:  # documented: it is passed on with this property
            properties["iothub-app-mqtt-retain"] = "true"
        try:
            self.hub.accept(self.name, properties, publish.payload)
        except ApiError as error:  # inferred: MQTT 3.1.1 has no other way to refuse a message
            raise ViolationError(error.message) from error
        self.record("PUBLISH", 200, "", publish.topic)

    # The twin.

    def _get_twin(self, rid: str) -> None:
        twin = twin_of(self.hub.store, self.hub.host, self.name)
        self.record("PUBLISH", 200, "", "$iothub/twin/GET")
        self._answer(f"{topics.TWIN_ANSWERS}200/?$rid={rid}", device_view(twin))

    def _patch_reported(self, rid: str, payload: bytes) -> None:
        try:
            patch = parse_patch(payload)
            host = self.hub.host
            version = patch_twin(self.hub.store, host, self.name, "reported", patch)
        except ApiError as error:
            self.record("PUBLISH", error.status, error.log_text, "$iothub/twin/PATCH")
            body = {"errorCode": error.code, "message": error.message}
            self._answer(f"{topics.TWIN_ANSWERS}{error.status}/?$rid={rid}", body)
            return
        self.record("PUBLISH", 204, "", "$iothub/twin/PATCH")
        self._answer(f"{topics.TWIN_ANSWERS}204/?$rid={rid}&$version={version}", None)

    def tell_desired(self, patch: dict, version: int) -> None:
        """Send the device a change of its desired properties."""
        self._answer(f"{topics.DESIRED_CHANGES}?$version={version}", patch | {"$version": version})

    def _answer(self, topic: str, body) -> None:
        """Send a message with QoS 0 after the commit, if the device has subscribed to it."""
        data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        if topics.qos_of(self.filters, topic) is not None:
            self.after_commit(lambda: self.publish(topic, data))

    # Direct methods.

    def call_method(self, method: str, payload: bytes, timeout_s: float) -> defer.Deferred:
        """Call a direct method → a Deferred with the status and the payload of the answer.

        It fails with an ApiError.
        """
        self._next_id += 1
        rid = f"{self._next_id:x}"
        topic = f"{topics.METHOD_CALLS}{method}/?$rid={rid}"
        if topics.qos_of(self.filters, topic) is None:
            return defer.fail(ApiError(404, 404103, "The device has not subscribed to methods"))

        def forget(call: defer.Deferred) -> None:
            del self._calls[rid]

        call = self._calls[rid] = defer.Deferred(forget)
        self.publish(topic, payload)
        return call.addTimeout(timeout_s, reactor, _method_is_late)  # type: ignore[arg-type]

    def _method_answer(self, rid: str, status: int, payload: bytes) -> None:
        call = self._calls.pop(rid, None)
        why = "" if call else "an answer to a method that was not called, or to one too late"
        self.record("PUBLISH", 200 if call else 400, why, "$iothub/methods/res")
        if call:
            call.callback((status, payload))

    # Messages for the device.

    def is_simulated(self, topic_filter: str) -> bool:
        return topics.is_simulated(topic_filter, self.name)

    def on_subscriptions(self) -> None:
        if not self._clean:
            self.hub.store.sessions.put(self.hub.host, self.name, self.filters)
        self.deliver()

    def deliver(self) -> None:
        """Send the messages that wait for the device, if it has subscribed to them."""
        qos = topics.qos_of(self.filters, topics.devicebound(self.name))
        if qos is None or self._closing:
            return
        self.hub.context.commits.begin()
        while len(self._sent) < WINDOW and (found := self.hub.lock_next(self.name, NEVER, LOCK)):
            lock, _, deliveries, record, body = found
            bag = topics.write_bag(self.name, record["properties"])
            topic = f"{topics.devicebound(self.name)}{bag}"
            packet_id = self._free_id() if qos else 0
            if packet_id:
                self._sent[packet_id] = lock
            else:  # nobody acknowledges it
                self.hub.store.cloud_to_device.settle(self.hub.host, self.name, lock, 0, None)
            self.record("DEVICEBOUND", 200, "")
            self._send_later(topic, body, packet_id, deliveries > 1)

    def _send_later(self, topic: str, body: bytes, packet_id: int, again: bool) -> None:
        self.after_commit(lambda: self.publish(topic, body, packet_id, again))

    def _free_id(self) -> int:
        while True:
            self._next_id += 1
            packet_id = self._next_id % 0xFFFF + 1
            if packet_id not in self._sent:
                return packet_id

    def on_puback(self, packet_id: int) -> None:
        lock = self._sent.pop(packet_id, None)
        if lock is None:
            self.record("PUBACK", 400, f"packet ID {packet_id} was not sent: ignored")
            return
        self.hub.context.commits.begin()
        self.hub.store.cloud_to_device.settle(self.hub.host, self.name, lock, 0, None)
        self.deliver()


def _method_is_late(result, timeout_s: float):
    raise ApiError(504, 504101, "The device did not answer in time")


def hub_mqtt_server(hub: Hub) -> MqttServer:
    return MqttServer(lambda: DeviceConnection(hub))
