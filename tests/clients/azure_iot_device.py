"""Microsoft's Python SDK for devices: DPS and the hub over MQTT.

ID_SCOPE REGISTRATION_ID CERT KEY
"""

import os
import sys
import threading

from azure.iot.device import (
    X509,
    IoTHubDeviceClient,
    Message,
    MethodResponse,
    ProvisioningDeviceClient,
)

import steps

ID_SCOPE, NAME, CERT, KEY = sys.argv[1:]
os.environ["SSL_CERT_FILE"] = steps.ROOT
IDENTITY = X509(CERT, KEY)
found: dict = {}


def provision():
    client = ProvisioningDeviceClient.create_from_x509_certificate(
        "global.azure-devices-provisioning.net", NAME, ID_SCOPE, IDENTITY
    )
    result = client.register()
    steps.check(result.status == "assigned", result.status)
    found["hub"] = result.registration_state.assigned_hub
    found["id"] = result.registration_state.device_id


def connect():
    with open(steps.ROOT) as root:
        client = IoTHubDeviceClient.create_from_x509_certificate(
            IDENTITY, found["hub"], found["id"], server_verification_cert=root.read()
        )
    client.connect()
    found["client"] = client


def send():
    message = Message('{"temperature": 30}', content_type="application/json")
    message.message_id = "m-1"
    message.custom_properties["alert"] = "a&b"
    found["client"].send_message(message)


def receive():
    come = threading.Event()

    def take(message):
        found["message"] = message
        come.set()

    found["client"].on_message_received = take
    call = {"deviceId": found["id"], "body": "hello", "properties": {"a": "b&c"}}
    steps.admin("POST", "devicebound", call | {"messageId": "m-2"})
    steps.check(come.wait(steps.TIMEOUT_S), "no message came")
    message = found["message"]
    steps.check((message.data, message.message_id) == (b"hello", "m-2"))
    steps.check(message.custom_properties == {"a": "b&c"}, str(message.custom_properties))


def twin():
    client = found["client"]
    client.patch_twin_reported_properties({"floor": 2, "list": {"a": None}})
    steps.check(client.get_twin()["reported"]["floor"] == 2)


def desired():
    come = threading.Event()

    def take(patch):
        found["patch"] = patch
        come.set()

    found["client"].on_twin_desired_properties_patch_received = take
    steps.admin("POST", "twins", {"deviceId": found["id"], "desired": {"interval": 5}})
    steps.check(come.wait(steps.TIMEOUT_S), "no patch came")
    steps.check(found["patch"]["interval"] == 5)


def method():
    def take(call):
        client = found["client"]
        answer = {"name": call.name, "payload": call.payload}
        client.send_method_response(MethodResponse.create_from_method_request(call, 207, answer))

    found["client"].on_method_request_received = take
    call = {"deviceId": found["id"], "method": "blink", "payload": {"times": 2}}
    answer = steps.admin("POST", "methods", call)
    steps.check(answer == {"status": 207, "payload": {"name": "blink", "payload": {"times": 2}}})


def disconnect():
    found["client"].shutdown()


steps.run(
    (step.__name__, step)
    for step in (provision, connect, send, receive, twin, desired, method, disconnect)
)
