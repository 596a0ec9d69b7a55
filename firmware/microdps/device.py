"""The device: it provisions itself and sends telemetry. Flows that decide, and Device, which runs
them on a Link."""

from microdps import dps, hub
from microdps.errors import LinkError
from microdps.http import Connection


def first_send(connection, host: str, path: str, data, timeout_ms: int):
    """Flow: the first message after DPS has accepted the certificate.

    A hub that then breaks off after the request was written, without an answer, wanted the
    certificate late: by TLS renegotiation, which stock MicroPython refuses.
    """
    try:
        yield from hub.send(connection, host, path, data, timeout_ms)
    except LinkError as error:
        if error.args[0] in ("alert", "closed"):
            raise LinkError("late-certificate", error.args[1])
        raise


class Device:
    """A device of Azure IoT Hub with an X.509 certificate.

    identity         microdps.identity.Identity
    id_scope         of the DPS instance
    registration_id  the common name of the device's certificate
    host             of DPS, with a port if it is not 443
    timeout_ms       for each request; provisioning may take as long with all its polls
    log              None, or a function that is handed a line of text for each answer

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
    ):
        from microdps.link import Link  # the flows above run where there is no TLS as well

        self._id_scope = id_scope
        self._registration_id = registration_id
        self._host = host
        self._timeout_ms = timeout_ms
        self._connection = Connection(log=log)
        self._link = Link(identity)
        self._proven = False  # has the assigned hub accepted a message of ours?
        self._path = ""
        self.assignment = None

    def provision(self):
        """Register with DPS and poll until assigned → Assignment.

        Raises ServiceError, ProtocolError, LinkError.
        """
        self.assignment = None
        self.assignment = self._link.run(
            dps.register(
                self._connection,
                self._host,
                self._id_scope,
                self._registration_id,
                self._timeout_ms,
            )
        )
        self._path = hub.path(self.assignment.device_id)
        self._proven = False
        return self.assignment

    def send(self, data):
        """Send one message: a dict becomes JSON, bytes and str go as they are.

        Returns when the hub has accepted it. Provisions first if the device has no assignment.
        Raises ServiceError, ProtocolError, LinkError; ValueError if data cannot become JSON.
        """
        assignment = self.assignment or self.provision()
        send = hub.send if self._proven else first_send
        flow = send(self._connection, assignment.hub, self._path, data, self._timeout_ms)
        self._link.run(flow)
        self._proven = True

    def close(self):
        """Close the connection. The next call opens one again."""
        self._connection.forget()
        self._link.close()
