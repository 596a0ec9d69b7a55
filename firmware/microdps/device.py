"""The device: it provisions itself and sends telemetry. Session holds the flows that decide
(retry, wait, register anew: the rules are microdps.backoff's), Device runs them on a Link."""

from microdps import dps, hub
from microdps.errors import LinkError, OutcomeUnknown, ProtocolError, ServiceError
from microdps.http import NOW


class Session:
    """What a device knows of DPS and its hub, and the flows that use it. No I/O of its own.

    connection   microdps.http.Connection
    patience_ms  how long a call may go on trying; what is left to wait then, the next call waits
    log          None, or a function that is handed a line of text
    assignment   what DPS has assigned, or None
    proven       has the assigned hub accepted a message since DPS assigned it?
    """

    def __init__(self, connection, id_scope, registration_id, host, timeout_ms, log=None):
        self.connection = connection
        self.id_scope = id_scope
        self.registration_id = registration_id
        self.host = host
        self.timeout_ms = timeout_ms
        self.patience_ms = 60_000
        self.log = log or (lambda line: None)
        self.payload = None
        self.proven = False
        self.assignment = None
        self.kept = {}  # what else the state file holds
        self._path = ""
        self._failures = 0  # in a row, until a message is accepted
        self._refusals = 0  # in a row, by DPS or the hub
        self._not_before = 0  # no request until then

    def assign(self, assignment, proven: bool = False):
        """Take an assignment, or None for no longer having one."""
        self.assignment = assignment
        self.proven = proven
        if assignment:
            self._path = hub.path(assignment.device_id)

    def provision(self):
        """Flow: register with DPS and poll until assigned → Assignment.

        Tries again within its patience where DPS asks for it (429, 5xx). Raises the last
        ServiceError; ProtocolError and LinkError at once. The next call waits first, as
        microdps.backoff says.
        """
        start = yield from self._wait()
        while True:
            try:
                assignment = yield from dps.register(
                    self.connection,
                    self.host,
                    self.id_scope,
                    self.registration_id,
                    self.timeout_ms,
                    self.payload,
                )
                self.assign(assignment)
                return assignment
            except (ServiceError, ProtocolError, LinkError) as error:
                from microdps import backoff  # not loaded while all goes well

                step = backoff.dps_step(error)
                self._failures += 1
                if step == backoff.AGAIN:
                    asked = isinstance(error, ServiceError) and error.status != 202
                    wait = backoff.dps_delay_ms(self._failures, error)
                    if (yield from self._pause(wait, error, start if asked else None)):
                        continue
                else:
                    yield from self._refused(step == backoff.FINAL)
                raise

    def send(self, data, fields: bytes = b""):
        """Flow: send one message, provisioning first if there is no assignment.

        fields  header lines for the message's properties (microdps.properties)

        Tries again within its patience as microdps.backoff says. Raises OutcomeUnknown, and the
        last ServiceError, ProtocolError or LinkError; ValueError or TypeError for data that cannot
        be sent. After an error the next call waits first, where that is due.
        """
        start = yield from self._wait()
        renewed = False
        while True:
            if not self.assignment:
                renewed = True
                yield from self.provision()
            try:
                yield from hub.send(
                    self.connection, self.assignment.hub, self._path, data, self.timeout_ms, fields
                )
                self.proven = True
                self._failures = self._refusals = 0
                return
            except (ServiceError, LinkError, ProtocolError) as failure:
                from microdps import backoff

                error = failure
                step = backoff.AGAIN
                if isinstance(error, ServiceError):
                    step = backoff.hub_step(error)
                else:
                    self._told_apart(error)
            if step == backoff.AGAIN:
                self._failures += 1
                if self._failures % backoff.LIMIT == 0:
                    step = backoff.REGISTER
                else:
                    wait = backoff.delay_ms(self._failures, error)
                    if (yield from self._pause(wait, error, start)):
                        continue
            if step == backoff.REGISTER:
                self.assign(None)
                if not renewed:
                    self.log("registering anew: %s" % error)
                    continue
            if step in (backoff.REGISTER, backoff.WAIT):
                yield from self._refused()
            raise error

    def _told_apart(self, error):
        """Raise what a broken exchange with the hub means for the caller, if it means more.

        A hub that breaks off after its first request was written, while DPS has accepted the same
        certificate, wanted it late: by TLS renegotiation, which stock MicroPython refuses.
        """
        code, where = error.args
        if isinstance(error, LinkError):
            if not error.written:
                return
            if not self.proven and code in ("alert", "closed"):
                raise LinkError("late-certificate", where)
        raise OutcomeUnknown(code, where)

    def _refused(self, final: bool = False):
        """Flow: let the next call wait, longer with each refusal in a row; a day after a final."""
        from microdps import backoff

        self._refusals += 12 if final else 1
        self._not_before = (yield NOW) + backoff.refused_ms(self._refusals)

    def _wait(self):
        """Flow: wait for as long as the last error asks → what time it is then."""
        now = yield NOW
        left = self._not_before - now
        if left > 0:
            if left > 1000:
                self.log("waiting %d s, after the last error" % (left // 1000))
            yield "sleep", left, None
            now = yield NOW
        return now

    def _pause(self, ms: int, error, start):
        """Flow: wait before trying again → True; False if that were over the patience of a call
        which began at start (None: it has none). Then it is the next call that waits."""
        now = yield NOW
        if start is None or now + ms - start > self.patience_ms:
            self._not_before = now + ms
            return False
        self.log("again in %d s: %s" % (ms // 1000, error))
        yield "sleep", ms, None
        return True


def restore(path: str, session):
    """Give a session its state file's contents. A damaged or foreign file is reported: it counts
    as none, and is replaced, so that it is reported once."""
    from microdps import state

    try:
        state.restore(path, session)
    except state.StateError as error:
        session.log("error: %s" % error)
        keep(path, session)


def keep(path: str, session):
    """Write a session's state file. Flash that cannot be written is no reason to stop sending."""
    from microdps import state

    try:
        state.keep(path, session)
    except OSError as error:
        session.log("error: cannot write %s: %s" % (path, error))


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
    ):
        from microdps.http import Connection

        self._session = Session(
            Connection(log=log), id_scope, registration_id, host, timeout_ms, log
        )
        self._link = self._driver(identity)
        self._link.feed = feed
        self._state = state
        if state:
            restore(state, self._session)

    def _driver(self, identity):
        from microdps.link import Link  # the flows above run where there is no TLS as well

        return Link(identity)

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
        before = self._before()
        try:
            return self._link.run(self._session.provision())
        finally:
            self._after(before)

    def send(self, data, properties=None, **system):
        """Send one message: a dict becomes JSON, bytes and str go as they are.

        properties  dict of the application's properties, or None
        system      message_id, correlation_id, content_type, content_encoding: str

        Returns when the hub has accepted it. Provisions first if the device has no assignment.
        Raises OutcomeUnknown, ServiceError, ProtocolError, LinkError; ValueError or TypeError if
        the data or a property cannot be sent.
        """
        fields = self._fields(properties, system)
        before = self._before()
        try:
            self._link.run(self._session.send(data, fields))
        finally:
            self._after(before)

    def _fields(self, properties, system) -> bytes:
        if not properties and not system:
            return b""
        from microdps.properties import encode

        return encode(properties, **system)

    def _before(self):
        """What the state file holds, if that is all there is to keep."""
        return self._session.assignment if self._session.proven else None

    def _after(self, before):
        if before is None or self._session.assignment is not before:
            self._keep()

    def _keep(self):
        if self._state:
            keep(self._state, self._session)

    def forget(self):
        """Forget the assignment, in the state file as well: the next call registers anew."""
        self._session.assign(None)
        self._keep()

    def close(self):
        """Close the connection. The next call opens one again."""
        self._session.connection.forget()
        self._link.close()
