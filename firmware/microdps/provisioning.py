"""A session and its assignment: the flow that registers with DPS. Loaded for a registration, and
when a device starts with an assignment."""

from microdps.errors import Error


def provision(session):
    """Flow: register with DPS and poll until assigned → Assignment.

    session  microdps.device.Session

    Tries again within the session's patience where DPS asks for it (429, 5xx). Raises the last
    ServiceError; ProtocolError and LinkError at once. The next call waits first, as
    microdps.backoff says.
    """
    until = None
    session.mqtt = None  # its connection is closed for DPS's
    if session.wait_ms:
        yield from session.backoff("wait")
    while True:
        try:
            assignment = yield from register(session)
            assign(session, assignment)
            return assignment
        except Error as error:
            until = yield from session.backoff("after_dps", error, until)


def register(session):
    """The flow of microdps.protocol.dps, whose module is let go after an error."""
    from microdps.protocol import dps

    connection = session.connection()
    connection.usual = []  # the hub's answer is learned again: a registration needs the memory
    return dps.register(
        connection,
        *session.owner,
        session.timeout_ms,
        session.payload,
    )


def assign(session, assignment, proven: bool = False):
    """Give a session an assignment. HTTPS is tried first again.

    proven  has the assigned hub ever accepted a message?
    """
    from microdps.protocol.hub import path

    same = session.proven and not session.by_mqtt and assignment.hub == session.hub
    session.proven = proven or same
    session.assignment = assignment
    session.changed = True
    session.hub = assignment.hub
    session.path = path(assignment.device_id)
    session.kept.pop("transport", None)
    use_mqtt(session, session.transport == "mqtt")


def use_mqtt(session, yes: bool = True):
    """Send messages by MQTT, or not, from now on."""
    session.by_mqtt = yes
    session.mqtt = None
    if yes:
        session.https = None  # its modules can be let go
