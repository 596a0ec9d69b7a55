"""TLS as DPS and IoT Hub use it: TLS 1.2, every client certificate is accepted, and judged later.

Python's ssl module cannot accept a certificate that it does not trust. pyOpenSSL can, and returns
the chain that the client sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL
from twisted.internet import defer, reactor
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.web.http import Request
from zope.interface import implementer

from ..certs.making import CertAndKey
from ..certs.reading import common_name

# IoT Hub's list (its documentation on TLS support).
CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:"
    b"ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384"
)


# How long a client may take to send its certificate late.
RENEGOTIATE_S = 30


def _accept_any(connection, cert, number, depth, ok) -> bool:
    return True


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """Makes the TLS side of a server's connections.

    server             its certificate and key
    late               "": ask for the client certificate in the handshake. Otherwise do not ask,
                       and treat a request without a certificate like this: "renegotiate"
                       (inferred: IoT Hub does this on port 443, by the evidence of
                       azure-iot-sdk-c#694 and curl#5839), "close", "unauthorized"
    wrong_certificate  a function that is called for each connection: returns None, or another
                       certificate and key for this connection
    """

    def __init__(
        self, server: CertAndKey, late: str = "", wrong_certificate: Callable = lambda: None
    ):
        self.late = late
        self._wrong_certificate = wrong_certificate
        self._server = server
        self._context = self.make_context()

    def make_context(self, other: CertAndKey | None = None) -> SSL.Context:
        """The settings of a connection. other: instead of the server's certificate and key."""
        server = other or self._server
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(CIPHERS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_options(SSL.OP_NO_TICKET)
        context.use_certificate(server.cert)
        context.use_privatekey(server.key)
        context.set_verify(SSL.VERIFY_NONE if self.late else SSL.VERIFY_PEER, _accept_any)
        context.set_info_callback(self._handshake_done)
        return context

    def serverConnectionForTLS(self, protocol) -> SSL.Connection:
        wrong = self._wrong_certificate()
        return SSL.Connection(self.make_context(wrong) if wrong else self._context, None)

    def take_over(self, connection: SSL.Connection) -> None:
        """Go on with the handshake of a connection that was made for several services."""
        if connection in _renegotiating:  # a client names its service in each handshake
            return
        wrong = self._wrong_certificate()
        connection.set_context(self.make_context(wrong) if wrong else self._context)
        connection.set_verify(SSL.VERIFY_NONE if self.late else SSL.VERIFY_PEER, _accept_any)

    def renegotiate(self, request: Request) -> defer.Deferred:
        """Ask for the client certificate by renegotiation.

        The Deferred fires when that handshake is done. If the client refuses, OpenSSL closes the
        connection, and the Deferred fails.
        """
        transport: Any = request.channel.transport
        connection = transport.getHandle()
        done: defer.Deferred = defer.Deferred()

        def lost(reason):
            if _renegotiating.pop(connection, None):
                done.errback(reason)

        request.notifyFinish().addErrback(lost)
        connection.set_verify(SSL.VERIFY_PEER, _accept_any)
        connection.renegotiate()
        connection.do_handshake()  # writes the HelloRequest, and reports that as a handshake done
        _renegotiating[connection] = done
        transport._flushSendBIO()  # Twisted has no public method for this
        return done.addTimeout(RENEGOTIATE_S, reactor)  # type: ignore[arg-type]

    def _handshake_done(self, connection: SSL.Connection, where: int, ret: int) -> None:
        if where & SSL.SSL_CB_HANDSHAKE_DONE and connection in _renegotiating:
            # Not now, because OpenSSL is calling us.
            done = _renegotiating.pop(connection)
            reactor.callLater(0, done.callback, None)  # type: ignore


def thumbprint(cert: x509.Certificate) -> str:
    return cert.fingerprint(hashes.SHA256()).hex().upper()


@dataclass
class Client:
    """The client at the other end of a connection.

    chain     the certificates that it sent, leaf first; empty if it sent none
    attested  the last result of attestation.py, kept by that module
    """

    chain: list[x509.Certificate]
    attested: tuple = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The common names of the chain."""
        return tuple(common_name(cert) for cert in self.chain)

    @cached_property
    def leaf_validity(self) -> tuple[float, float]:
        """From when until when the leaf is valid, in seconds since 1970."""
        leaf = self.chain[0]
        return leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()

    @cached_property
    def thumbprints(self) -> list[str]:
        return [thumbprint(cert) for cert in self.chain]


# Connections that wait for a late certificate.
_renegotiating: dict[SSL.Connection, defer.Deferred] = {}

_clients: WeakKeyDictionary[SSL.Connection, Client] = WeakKeyDictionary()


def client_of(connection: SSL.Connection) -> Client:
    """The client of a connection whose handshake is done."""
    known = _clients.get(connection)
    if known:
        return known
    leaf = connection.get_peer_certificate(as_cryptography=True)
    if leaf is None:
        return Client([])
    sent = connection.get_peer_cert_chain(as_cryptography=True) or []
    client = Client([leaf, *(cert for cert in sent if cert != leaf)])
    _clients[connection] = client
    return client
