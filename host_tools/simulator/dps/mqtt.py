"""The simulated DPS over MQTT 3.1.1: the same calls as over HTTPS, and the same answers.

Sources: "Communicate with DPS using the MQTT protocol" (Azure documentation), and azure-sdk-for-c.
A CONNECT is accepted with any certificate, also with none; the answers to the calls refuse it.
"""

import json
import re
import urllib.parse

from twisted.internet import reactor

from ..call import Call, Response
from ..http_service import new_request_id
from ..hub.mqtt_connection import Connect, MqttConnection, MqttServer, Publish, RefusedError
from ..hub.mqtt_packets import BAD_CLIENT_ID, BAD_USER, ViolationError
from ..tls import Client
from .device_api import Dps

ANSWERS = "$dps/registrations/res/"
REGISTER = re.compile(r"\$dps/registrations/PUT/iotdps-register/\?\$rid=([^&]*)(?:&.*)?")
STATUS = re.compile(r"\$dps/registrations/GET/iotdps-get-operationstatus/\?(.*)")
USER = re.compile(r"([^/]+)/registrations/([^/]+)/(api-version=[^&]+.*)")

# The largest message ("Azure IoT Hub Device Provisioning Service limits").
MESSAGE_LIMIT = 96 * 1024


class MqttCall(Call):
    """A call that came over MQTT. It has a body, and no headers."""

    content = b""

    def header(self, name: str) -> str | None:
        return {"content-type": "application/json", "host": "mqtt"}.get(name)

    def body(self) -> bytes:
        return self.content


class RegistrationConnection(MqttConnection):
    """The connection of one device."""

    def __init__(self, dps: Dps):
        super().__init__(dps)
        self.dps = dps
        self._scope = ""
        self._query: dict[str, str] = {}
        self._client = Client([])

    def on_connect(self, connect: Connect, client: Client) -> bool:
        found = USER.fullmatch(connect.user)
        if not found:
            raise RefusedError(
                BAD_USER,
                f"the user name is {connect.user!r}, and not"
                " SCOPE/registrations/ID/api-version=2019-03-31",
            )
        if not connect.client_id or found[2].lower() != connect.client_id.lower():
            raise RefusedError(
                BAD_CLIENT_ID,
                f"the client ID is {connect.client_id!r}, and the user name is for {found[2]!r}",
            )
        self._scope = found[1]
        self._query = dict(urllib.parse.parse_qsl(found[3]))
        self._client = client
        return False

    def is_simulated(self, topic_filter: str) -> bool:
        return topic_filter == f"{ANSWERS}#"

    def on_publish(self, publish: Publish) -> bool:
        if len(publish.payload) > MESSAGE_LIMIT:
            raise ViolationError("a message over 96 KB")
        path = [self._scope, "registrations", self.name]
        if found := REGISTER.fullmatch(publish.topic):
            self._call("PUT", (*path, "register"), publish.payload, found[1])
            return True
        if found := STATUS.fullmatch(publish.topic):
            parameters = dict(urllib.parse.parse_qsl(found[1], keep_blank_values=True))
            operation = parameters.get("operationId", "")
            path += ["operations", operation]
            self._call("GET", tuple(path), b"", parameters.get("$rid", ""))
            return True
        self.record("PUBLISH", 400, "this topic is not simulated: ignored", publish.topic)
        return False

    def _call(self, method: str, path: tuple[str, ...], body: bytes, rid: str) -> None:
        """Make a call as over HTTPS, and send its answer."""
        faults = self.dps.context.faults.trigger(
            "dps", "/" + "/".join(path), without=("split", "redirect")
        )
        request_id = new_request_id()
        call = MqttCall(None, method, path, self._query, self._client, request_id, faults)
        call.content = body
        if "drop" in faults:
            raise ViolationError("a fault on request: the connection breaks off")
        response, text = self.dps.answer(call)
        self.record(method, response.status, text, "/".join(path))
        delay_s = faults["slow"].number / 1000 if "slow" in faults else 0
        self.after_commit(lambda: self._answer_later(delay_s, response, rid))

    def _answer_later(self, delay_s: float, response: Response, rid: str) -> None:
        if delay_s:
            reactor.callLater(delay_s, self._answer, response, rid)  # type: ignore
        else:
            self._answer(response, rid)

    def _answer(self, response: Response, rid: str) -> None:
        wait = response.headers.get("retry-after")
        topic = f"{ANSWERS}{response.status}/?$rid={rid}"
        topic += f"&retry-after={wait}" if wait else ""
        if f"{ANSWERS}#" in self.filters:
            self.publish(topic, json.dumps(response.body, separators=(",", ":")).encode())


def dps_mqtt_server(dps: Dps) -> MqttServer:
    return MqttServer(lambda: RegistrationConnection(dps))
