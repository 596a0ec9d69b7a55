"""Check the way to a real DPS and hub, with a device's own files.

Nothing is changed except for the registration, which is announced. What a board will do depends on
when the hub asks for the device's certificate. OpenSSL follows if the hub asks late; a board does
not.
"""

import select
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key
from OpenSSL import SSL

from microdps.device import Device
from microdps.driver.link import Link
from microdps.errors import Error
from microdps.identity import Identity
from microdps.program import config
from microdps.protocol import hub, mqtt
from microdps.protocol.http import Connection
from microdps.protocol.url import split_host

from .. import ToolError
from ..certs.slots import slot_folder
from .live_report import Report

TIMEOUT_S = 20

# When a server asks for the client certificate.
IN_HANDSHAKE = "in the first handshake"
LATE = "after the first request, by renegotiation"
NEVER = "not at all"


@dataclass
class Probe:
    """A server's behaviour.

    asks         when it asked for the certificate: IN_HANDSHAKE, LATE or NEVER
    status_line  the first line of its answer
    headers      the other lines of its answer's head
    tls          version and cipher, and the issuers of the server's certificates
    times_ms     until it was connected, the handshake was done, the answer came
    """

    asks: str
    status_line: str
    headers: list[str] = field(default_factory=list)
    tls: dict[str, Any] = field(default_factory=dict)
    times_ms: dict[str, int] = field(default_factory=dict)


def live_check(
    folder: Path, slot: str, report: Callable[[str], None], seen: Report | None = None
) -> str:
    """Check the way to DPS and the hub → "https" or "mqtt": the transport that a board will use.

    report  a function that takes a line for each step
    seen    notes all that was seen, for a file

    Raises ToolError, and the errors of the device package.
    """
    seen = seen or Report()
    settings = config.load(str(folder / "config.json"), lambda text: None)
    for name in ("registration_id", "id_scope", "host"):
        seen.hide(name, settings[name])
    identity = Identity.from_files(str(slot_folder(folder, slot)))
    chain = list(identity.certs("cert"))
    seen.add("identity", chain_bytes=[len(cert) for cert in chain])
    try:
        return _check(settings, identity, report, seen)
    except (ToolError, Error) as error:
        seen.add("failed", error=str(error))
        raise


def _check(settings: dict, identity: Identity, report: Callable[[str], None], seen: Report) -> str:
    _check_dps(settings["host"], identity, report, seen)
    assignment = _register(settings, identity, report, seen)
    seen.hide("hub", assignment.hub)
    seen.hide("device_id", assignment.device_id)
    found = probe(assignment.hub, hub.path(assignment.device_id), identity)
    seen.add("hub over HTTPS", **asdict(found))
    report(
        f"hub {assignment.hub}, HTTPS: asks for the certificate {found.asks}; {found.status_line}"
    )
    port = split_host(mqtt.address(assignment.hub))[1]
    begin = time.monotonic()
    refusal = _connect_by_mqtt(identity, assignment)
    seen.add("hub over MQTT", port=port, error=refusal, took_ms=_ms_since(begin))
    report(f"hub {assignment.hub}, MQTT on port {port}: {refusal or 'accepts the device'}")
    transport = _transport(settings["transport"], found, refusal)
    seen.add("result", transport=transport)
    return transport


def _ms_since(begin: float) -> int:
    return round((time.monotonic() - begin) * 1000)


def _check_dps(host: str, identity: Identity, report: Callable[[str], None], seen: Report) -> None:
    found = probe(host, "/", identity)
    seen.add("DPS over HTTPS", **asdict(found))
    report(f"DPS {host}: asks for the certificate {found.asks}")
    if found.asks != IN_HANDSHAKE:
        raise ToolError(
            f"{host} does not ask for a certificate in the handshake, as DPS does: check the host"
        )


def _register(settings: dict, identity: Identity, report: Callable[[str], None], seen: Report):
    """Register with DPS → the assignment."""
    begin = time.monotonic()
    report(f"registering {settings['registration_id']} with DPS: this is one registration")
    lines: list[str] = []

    def log(text: str, *values) -> None:
        lines.append(text % values if values else text)

    ids = (settings["id_scope"], settings["registration_id"], settings["host"])
    device = Device(identity, *ids, log=log)
    try:
        assignment = device.provision()
    finally:
        device.close()
        seen.add("requests", lines=lines)
    seen.add(
        "registration",
        status=assignment.status,
        substatus=assignment.substatus,
        took_ms=_ms_since(begin),
    )
    report(f"assigned to {assignment.hub} as {assignment.device_id}")
    return assignment


def _connect_by_mqtt(identity: Identity, assignment) -> str:
    """Connect by MQTT, and send nothing → the error; "" if there was none."""
    link = Link(identity)
    client = mqtt.Mqtt(Connection())
    try:
        link.run(client.connect(assignment.hub, assignment.device_id, TIMEOUT_S * 1000))
    except Error as error:
        return str(error)
    finally:
        link.close()
    return ""


def _transport(configured: str, found: Probe, refusal: str) -> str:
    """The transport that a board will use. Raises ToolError if that one cannot work."""
    transport = configured
    if transport == "auto":
        transport = "https" if found.asks == IN_HANDSHAKE else "mqtt"
    if transport == "https" and found.asks != IN_HANDSHAKE:
        raise ToolError(
            "this hub asks for the certificate late, which stock MicroPython refuses: set"
            ' "transport" to "auto" in config.json'
        )
    if transport == "mqtt" and refusal:
        raise ToolError(f"a board would send by MQTT, which fails: {refusal}")
    return transport


def probe(host: str, path: str, identity: Identity) -> Probe:
    """Send a server a GET, by OpenSSL, and watch when it asks for the certificate.

    Raises ToolError.
    """
    name, port = split_host(host)
    handshake_done = False
    requests: list[bool] = []  # for each certificate request: was the first handshake done?

    def watch(connection, where, code):
        if b"read server certificate request" in connection.get_state_string():
            requests.append(handshake_done)

    context = _context(identity)
    context.set_info_callback(watch)
    begin = time.monotonic()
    deadline = begin + TIMEOUT_S
    times = {}
    try:
        with socket.create_connection((name, port), TIMEOUT_S) as raw:
            raw.setblocking(False)
            times["connected"] = _ms_since(begin)
            connection = SSL.Connection(context, raw)
            connection.set_tlsext_host_name(name.encode())
            connection.set_connect_state()
            _wait_for(connection.do_handshake, raw, deadline)
            handshake_done = True
            times["handshake"] = _ms_since(begin)
            head = _get(connection, host, path, raw, deadline)
            times["answer"], tls = _ms_since(begin), _tls_parameters(connection)
    except (OSError, SSL.Error) as error:
        raise ToolError(
            f"{host}: no TLS connection ({error}): check the host, the port, the network, and the"
            " roots in the device's folder"
        ) from error
    lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    asks = NEVER
    if requests:
        asks = LATE if all(requests) else IN_HANDSHAKE
    return Probe(asks, lines[0] or "closed without an answer", lines[1:], tls, times)


def _tls_parameters(connection: SSL.Connection) -> dict[str, Any]:
    chain = connection.get_peer_cert_chain() or []
    return {
        "version": connection.get_protocol_version_name(),
        "cipher": connection.get_cipher_name(),
        "issuers": [cert.to_cryptography().issuer.rfc4514_string() for cert in chain],
    }


def _get(connection, host: str, path: str, raw: socket.socket, deadline: float) -> bytes:
    """Send a GET → the start of the answer; empty if the server closes instead."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    _wait_for(lambda: connection.send(request.encode()), raw, deadline)
    try:
        return _wait_for(lambda: connection.recv(4096), raw, deadline)
    except (SSL.ZeroReturnError, SSL.SysCallError):
        return b""


def _context(identity: Identity) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)  # as a board
    leaf, *issuers = (x509.load_der_x509_certificate(cert) for cert in identity.certs("cert"))
    context.use_certificate(leaf)
    for issuer in issuers:
        context.add_extra_chain_cert(issuer)
    context.use_privatekey(load_der_private_key(identity.part("key"), None))  # type: ignore
    store: Any = context.get_cert_store()
    for root in identity.certs("roots"):
        store.add_cert(SSL.X509.from_cryptography(x509.load_der_x509_certificate(root)))
    context.set_verify(SSL.VERIFY_PEER)
    return context


def _wait_for(call: Callable, raw: socket.socket, deadline: float):
    """Repeat a call on a non-blocking connection until it succeeds → its result."""
    ready: tuple[list, list, list]
    while True:
        try:
            return call()
        except SSL.WantReadError:
            ready = select.select([raw], [], [], max(0, deadline - time.monotonic()))
        except SSL.WantWriteError:
            ready = select.select([], [raw], [], max(0, deadline - time.monotonic()))
        if not any(ready):
            raise TimeoutError(f"no answer within {TIMEOUT_S} s")
