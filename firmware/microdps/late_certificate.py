"""Does the hub want MQTT? Loaded when the first message over HTTPS fails.

By all evidence IoT Hub on port 443 asks for the client's certificate by TLS renegotiation, after
the request, and stock MicroPython refuses that (azure-iot-sdk-c#694, curl#5839). Such a hub ends
the connection with an alert, closes it without an answer, or answers 401, though DPS has accepted
the same certificate a moment ago.
"""

from microdps.errors import LinkError, ProtocolError, ServiceError
from microdps.protocol import hub
from microdps.provisioning import use_mqtt


def asks_late(session, error):
    """Flow: after the first error of an assigned hub → True if the message is to be sent by MQTT.

    A connection that was closed without an answer may mean that the message was taken: so the hub
    is asked for what is no message. If it answers that, its first answer was lost; if it closes
    again, it does so before it takes anything.
    """
    if isinstance(error, ServiceError):
        if error.status != 401:
            return False
    elif not _ended(error):
        return False
    else:
        path = hub.path(session.assignment.device_id)
        try:
            yield from session.connection().request(
                "GET", session.hub, path, b"", None, session.timeout_ms
            )
            return False
        except (LinkError, ProtocolError) as again:
            if not _ended(again):
                return False
    session.log("this hub asks for the certificate late, by all signs: sending by MQTT")
    use_mqtt(session)
    session.kept["transport"] = "mqtt"
    return True


def _ended(error) -> bool:
    """Did the peer end the connection after the request was written?"""
    return isinstance(error, LinkError) and error.written and error.args[0] in ("alert", "closed")


def back(session):
    """MQTT did not work either: the next try goes by HTTPS."""
    use_mqtt(session, False)
    session.kept.pop("transport", None)
