"""The device: it provisions itself and sends telemetry. Session holds the flows, Device runs them
on a Link. What follows an error is microdps.backoff's, which is not loaded while all goes well."""

from microdps import dps, hub
from microdps.errors import Error
from microdps.http import Connection


class Session:
    """What a device knows of DPS and its hub, and the flows that use it. No I/O of its own.

    connection   microdps.http.Connection
    owner        (host of DPS, ID scope, registration ID)
    patience_ms  how long a call may go on trying after its first failure; what is left to wait
                 then, the next call waits
    payload      a dict for a custom allocation, or None
    assignment   what DPS has assigned, or None
    proven       has the assigned hub ever accepted a message?
    kept         dict of what else the state file holds
    failures     in a row, until a message is accepted
    refusals     in a row, by DPS or the hub
    not_before   no request until then
    due          None, or the flow that the next call begins with: it waits until then
    changed      is there more to keep than the state file holds?
    transport    "https", "mqtt", or "auto": HTTPS, and MQTT where a hub wants that
    mqtt         None, or the microdps.mqtt.Mqtt that messages go by
    """

    patience_ms = 60_000
    payload = None
    assignment: dps.Assignment | None = None
    proven = changed = False
    failures = refusals = not_before = 0

    def __init__(self, connection, owner, timeout_ms: int, transport: str = "auto"):
        self.connection = connection
        self.transport = transport
        self.owner = owner
        self.timeout_ms = timeout_ms
        self.kept: dict = {}
        self.due = self.mqtt = None
        self._hub = self._path = ""

    def assign(self, assignment, proven: bool = False):
        """Take an assignment, or None for no longer having one. HTTPS is tried first again."""
        self.assignment = assignment
        self.changed = True
        if assignment:
            same = self.proven and not self.mqtt and assignment.hub == self._hub
            self.proven = proven or same
            self._hub = assignment.hub
            self._path = hub.path(assignment.device_id)
            self.mqtt = None
            self.kept.pop("transport", None)
            if self.transport == "mqtt":
                self.use_mqtt()

    def use_mqtt(self):
        """Send messages by MQTT from now on."""
        from microdps.mqtt import Mqtt

        self.mqtt = Mqtt(self.connection)  # type: ignore[assignment]

    def log(self, text: str, *values):
        """Tell a line of text, if there is someone to tell."""
        if self.connection.log:
            self.connection.log(text % values)

    def provision(self):
        """Flow: register with DPS and poll until assigned → Assignment.

        Tries again within its patience where DPS asks for it (429, 5xx). Raises the last
        ServiceError; ProtocolError and LinkError at once. The next call waits first, as
        microdps.backoff says.
        """
        until = None
        if self.due:
            yield from self.due(self)
        while True:
            try:
                assignment = yield from dps.register(
                    self.connection, *self.owner, self.timeout_ms, self.payload
                )
                self.assign(assignment)
                return assignment
            except Error as error:
                from microdps import backoff

                until = yield from backoff.after_dps(self, error, until)

    def send(self, data, properties=None, system=None):
        """Flow: send one message, provisioning first if there is no assignment.

        properties  dict of the application's properties, or None
        system      dict of the system's properties (microdps.properties), or None

        Tries again within its patience as microdps.backoff says. Raises OutcomeUnknown, and the
        last ServiceError, ProtocolError or LinkError; ValueError or TypeError for data that cannot
        be sent. After an error the next call waits first, where that is due.
        """
        until = None
        renewed = False
        if self.due:
            yield from self.due(self)
        while True:
            if not self.assignment:
                renewed = True
                yield from self.provision()
            try:
                if self.mqtt:
                    yield from self.mqtt.message(self, data, properties, system or {})
                else:
                    fields = b""
                    if properties or system:
                        from microdps.properties import encode

                        fields = encode(properties, **(system or {}))
                    yield from hub.send(
                        self.connection, self._hub, self._path, data, self.timeout_ms, fields
                    )
                    if self.connection.status not in (200, 201, 204):
                        from microdps.service import failure

                        raise failure(self.connection, self._hub)
                if not self.proven:
                    self.proven = self.changed = True
                self.failures = self.refusals = 0
                return
            except Error as error:
                from microdps import backoff

                until = yield from backoff.after_hub(self, error, until, renewed)


class Device:
    """A device of Azure IoT Hub with an X.509 certificate.

    identity         microdps.identity.Identity
    id_scope         of the DPS instance
    registration_id  the common name of the device's certificate
    host             of DPS, with a port if it is not 443
    timeout_ms       for each request, and for each registration with all its polls
    log              None, or a function that is handed a line of text for each answer and retry
    state            path of the file that keeps the assignment over a reboot, or None
    feed             None, or a function that is called between steps: for a watchdog
    transport        "auto", "https" or "mqtt": how messages go to the hub

    An error leaves the device usable: call again.
    """

    def __init__(
        self,
        identity,
        id_scope: str,
        registration_id: str,
        host: str = "global.azure-devices-provisioning.net",
        timeout_ms: int = 30_000,
        log=None,
        state=None,
        feed=None,
        transport: str = "auto",
    ):
        connection = Connection(log=log, strict=False)
        owner = host, id_scope, registration_id
        self._session = Session(connection, owner, timeout_ms, transport)
        self._link = self._driver(identity, feed)
        self._state = state
        if state:
            from microdps.state import restore

            restore(state, self._session)

    def _driver(self, *arguments):
        from microdps.link import Link  # the flows above run where there is no TLS as well

        return Link(*arguments)

    @property
    def assignment(self):
        """What DPS has assigned: .hub .device_id .status .substatus .payload; None before."""
        return self._session.assignment

    def provision(self, payload=None):
        """Register with DPS and poll until assigned → Assignment.

        payload  a dict for a custom allocation, or None

        Raises ServiceError, ProtocolError, LinkError.
        """
        self._session.payload = payload
        return self._run(self._session.provision())

    def send(self, data, properties=None, **system):
        """Send one message: a dict becomes JSON, bytes and str go as they are.

        properties  dict of the application's properties, or None
        system      message_id, correlation_id, content_type, content_encoding: str

        Returns when the hub has accepted it. Provisions first if the device has no assignment.
        Raises OutcomeUnknown, ServiceError, ProtocolError, LinkError; ValueError or TypeError if
        the data or a property cannot be sent.
        """
        return self._run(self._session.send(data, properties, system))

    def ping(self):
        """Keep an idle MQTT connection; for HTTPS there is nothing to do. Raises no LinkError."""
        if self._session.mqtt:
            return self._run(self._session.mqtt.ping(self._session))
        return None

    def _run(self, flow):
        try:
            return self._link.run(flow)
        finally:
            self._keep()

    def _keep(self):
        if self._session.changed and self._state:
            from microdps.state import keep

            keep(self._state, self._session)

    def forget(self):
        """Forget the assignment, in the state file as well: the next call registers anew."""
        self._session.assign(None)
        self._keep()

    def close(self):
        """Close the connection. The next call opens one again."""
        self._link.close()
