"""Ports that several services share, as at Azure: a client names its service by SNI.

Microsoft's SDKs take host names without ports. So DPS and all hubs are on ports 443 and 8883 of
one address, and the client's /etc/hosts leads their names there.
"""

from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from .http_service import HttpService
from .tls import ServerTLS

HTTPS_PORT, MQTT_PORT = 443, 8883
DPS_NAME = "global.azure-devices-provisioning.net"
HANDSHAKE_S = 60


def hub_name(number: int) -> str:
    """The name of a hub. number: from 1."""
    return f"microdps-hub-{number}.azure-devices.net"


@dataclass
class Endpoint:
    """A service on a shared port.

    factory  makes the protocols of its connections
    """

    service: HttpService
    tls: ServerTLS
    factory: Any


@implementer(IOpenSSLServerConnectionCreator)
class TLSByName:
    """The TLS side of a shared port.

    by_name  name of a service, in lower case → its endpoint
    default  the endpoint for clients that name no service, or one that is not here
    """

    def __init__(self, by_name: dict[str, Endpoint], default: Endpoint):
        self.by_name = by_name
        self.default = default
        self._context = default.tls.make_context()
        self._context.set_tlsext_servername_callback(self._choose)

    def serverConnectionForTLS(self, protocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)

    def endpoint(self, connection: SSL.Connection) -> Endpoint:
        name = connection.get_servername() or b""
        return self.by_name.get(name.decode("latin-1").lower(), self.default)

    def _choose(self, connection: SSL.Connection) -> None:
        """Called in the handshake: go on as the service that the client has named."""
        self.endpoint(connection).tls.take_over(connection)


@implementer(IHandshakeListener)
class NamedConnection(Protocol):
    """A connection that becomes one of its service after the handshake."""

    transport: Any

    def __init__(self, tls: TLSByName, address):
        self._tls = tls
        self._address = address
        self._inner: Any = None
        self._timer: Any = reactor.callLater(HANDSHAKE_S, self._too_late)  # type: ignore

    def handshakeCompleted(self) -> None:
        if self._inner is None:  # not again after a renegotiation
            self._timer.cancel()
            endpoint = self._tls.endpoint(self.transport.getHandle())
            self._inner = endpoint.factory.buildProtocol(self._address)
            self._inner.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self._inner.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inner:
            self._inner.connectionLost(reason)
        elif self._timer.active():
            self._timer.cancel()

    def _too_late(self) -> None:
        self._tls.default.service.refuse_connection(f"no handshake within {HANDSHAKE_S} s")
        self.transport.abortConnection()


class NamedFactory(Factory):
    """Makes the connections of a shared port."""

    noisy = False

    def __init__(self, tls: TLSByName):
        self._tls = tls

    def buildProtocol(self, addr) -> NamedConnection:
        return NamedConnection(self._tls, addr)
