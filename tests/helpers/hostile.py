"""Connections for clients that do not behave."""

import socket
import ssl

TIMEOUT_S = 20


def connect(simulator, host: str, cert=None) -> ssl.SSLSocket:
    """A TLS connection to one of a simulator's ports. cert: files of a client certificate."""
    context = ssl.create_default_context(cafile=simulator.root)
    if cert:
        context.load_cert_chain(*cert)
    name, port = host.rsplit(":", 1)
    plain = socket.create_connection((name, int(port)), TIMEOUT_S)
    return context.wrap_socket(plain, server_hostname=name)
