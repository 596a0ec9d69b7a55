"""The device: it provisions itself and sends telemetry. It joins a session with a driver."""

from microdps.session import Session


class Device:
    """A device of Azure IoT Hub with an X.509 certificate.

    identity         microdps.identity.Identity
    id_scope         of the DPS instance
    registration_id  the common name of the device's certificate
    host             of DPS, with a port if it is not 443
    timeout_ms       for each request, and for each registration with all its polls
    log              None, or a function that is handed a line of text for each answer and retry
    state            path of the file that keeps the assignment over a reboot, or None
    feed             None, or a function that is called between steps: for a watchdog. Not called
                     under asyncio
    transport        "auto", "https" or "mqtt": how messages go to the hub
    outbox           path of the folder where queue() keeps messages
    outbox_kb        the most that this folder may have, in units of 1024 bytes

    An error leaves the device usable: call again. Raises IdentityError if TLS refuses the key, a
    certificate or a root.
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
        outbox: str = "outbox",
        outbox_kb: int = 64,
    ):
        owner = host, id_scope, registration_id
        self.session = Session(owner, timeout_ms, transport, log)
        self.link = self._driver(identity, feed)
        self.state = state
        self.outbox = outbox, outbox_kb
        self._outbox = None
        if state:
            from microdps.state import restore

            restore(state, self.session)

    def _driver(self, *arguments):
        from microdps.driver.link import Link  # the flows above run where there is no TLS as well

        return Link(*arguments)

    @property
    def assignment(self):
        """What DPS has assigned: .hub .device_id .status .substatus .payload; None before."""
        return self.session.assignment

    def provision(self, payload=None):
        """Register with DPS and poll until assigned → Assignment.

        payload  a dict for a custom allocation, or None

        Raises ServiceError, ProtocolError, LinkError.
        """
        from microdps.provisioning import provision

        self.session.payload = payload
        return self._run(provision(self.session))

    def send(self, data, properties=None, **system):
        """Send one message: a dict becomes JSON, bytes and str go as they are.

        properties  dict of the application's properties, or None
        system      message_id, correlation_id, content_type, content_encoding: str

        Returns when the hub has accepted it. Provisions first if the device has no assignment.
        Raises OutcomeUnknown, ServiceError, ProtocolError, LinkError; ValueError or TypeError if
        the data or a property cannot be sent.
        """
        return self._run(self.session.send(data, properties, system))

    def queue(self, data, properties=None, **system):
        """Keep one message on flash, until flush() has delivered it.

        data, properties, system  as for send(). Without a message_id the message gets one

        Returns when it lies there. Raises OutboxError if there is no room, or flash cannot be
        written; ValueError or TypeError if the data or a property cannot be sent.
        """
        from microdps.protocol.body import encode

        self._box().queue(encode(data, properties, system), properties, system)

    def flush(self):
        """Deliver the messages that wait, oldest first, many in a request → how many.

        A message leaves flash when the hub has accepted it. Raises as send() does: what was not
        accepted goes on waiting. A message that the hub does not take is reported, and set aside.
        """
        from microdps.outbox.delivery import flush

        return self._run(flush(self.session, self._box()))

    def _box(self):
        """The microdps.outbox.files.Outbox of the messages that wait."""
        if not self._outbox:
            from microdps.outbox.files import Outbox

            path, kb = self.outbox
            self._outbox = Outbox(path, self.session, self.link.now, kb * 1024)
        return self._outbox

    def ping(self):
        """Keep an idle MQTT connection; for HTTPS there is nothing to do. A failure is logged."""
        if self.session.mqtt:
            return self._run(self.session.mqtt.ping(self.session))
        return None

    def _run(self, flow):
        try:
            return self.link.run(flow)
        finally:
            self._keep()

    def _keep(self):
        if self.session.changed and self.state:
            self.session.tidy()
            from microdps.state import keep

            keep(self.state, self.session)

    def forget(self):
        """Forget the assignment, in the state file as well: the next call registers anew."""
        self.session.assignment = None
        self.session.changed = True
        self._keep()

    def close(self):
        """Close the connection. The next call opens one again."""
        self.link.close()
