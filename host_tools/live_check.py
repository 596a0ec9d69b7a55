"""microdps live-check: with a device's own files, does the way to a real DPS and hub work?

Nothing is changed but for the registration, which is announced. What a board will do depends on
when the hub asks for the device's certificate; OpenSSL, unlike the board, follows if that is late.
"""

import argparse
import select
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key
from OpenSSL import SSL

from host_tools import ToolError
from host_tools.config import add_device, slot_folder
from microdps.device import Device
from microdps.driver.link import Link
from microdps.errors import Error
from microdps.identity import Identity
from microdps.program import config
from microdps.protocol import hub, mqtt
from microdps.protocol.http import Connection
from microdps.protocol.url import split_host

TIMEOUT_S = 20
AT_ONCE = "in the first handshake"
LATE = "after the first request, by renegotiation"
NEVER = "not at all"


@dataclass
class Answer:
    """When a server asked for the certificate, and the status line of its answer."""

    asks: str
    line: str


def ask(host: str, path: str, identity: Identity) -> Answer:
    """Ask a server, by OpenSSL, for what changes nothing. Raises ToolError."""
    name, port = split_host(host)
    asked: list[bool] = []  # for each request of the certificate: had the first handshake ended?
    shaken = False

    def watch(connection, where, code):
        if b"read server certificate request" in connection.get_state_string():
            asked.append(shaken)

    context = _context(identity)
    context.set_info_callback(watch)
    deadline = time.monotonic() + TIMEOUT_S
    try:
        with socket.create_connection((name, port), TIMEOUT_S) as raw:
            raw.setblocking(False)
            connection = SSL.Connection(context, raw)
            connection.set_tlsext_host_name(name.encode())
            connection.set_connect_state()
            _until(connection.do_handshake, raw, deadline)
            shaken = True
            request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            _until(lambda: connection.send(request.encode()), raw, deadline)
            try:
                head = _until(lambda: connection.recv(4096), raw, deadline)
            except (SSL.ZeroReturnError, SSL.SysCallError):
                head = b""
    except (OSError, SSL.Error) as error:
        raise ToolError(
            f"{host}: no TLS connection ({error}): check host, port, network, and the roots in"
            " the device's folder"
        ) from error
    line = head.split(b"\r\n")[0].decode("latin-1")
    asks = NEVER
    if asked:
        asks = LATE if all(asked) else AT_ONCE
    return Answer(asks, line or "closed without an answer")


def _context(identity: Identity) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)  # what a board speaks
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


def _until(call, raw: socket.socket, deadline: float):
    """Repeat a call of a non-blocking connection until it is done → what it returns."""
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


def live_check(folder: Path, slot: str, say) -> str:
    """Check the way to DPS and the hub → "https" or "mqtt", what a board will send by.

    say  a function that is handed each finding

    Raises ToolError, and the device package's errors.
    """
    settings = config.load(str(folder / "config.json"))
    identity = Identity.from_files(str(slot_folder(folder, slot)))
    host = settings["host"]
    found = ask(host, "/", identity)
    say(f"DPS {host}: asks for the certificate {found.asks}")
    if found.asks != AT_ONCE:
        raise ToolError(f"{host} asks for no certificate in the handshake: is it DPS?")
    say(f"registering {settings['registration_id']} with DPS: this is one registration")
    device = Device(identity, settings["id_scope"], settings["registration_id"], host)
    try:
        assignment = device.provision()
    finally:
        device.close()
    say(f"assigned to {assignment.hub} as {assignment.device_id}")
    found = ask(assignment.hub, hub.path(assignment.device_id), identity)
    say(f"hub {assignment.hub}, HTTPS: asks for the certificate {found.asks}; {found.line}")
    port = split_host(mqtt.address(assignment.hub))[1]
    refusal = _by_mqtt(identity, assignment)
    say(f"hub {assignment.hub}, MQTT on port {port}: {refusal or 'accepts the device'}")
    transport = settings["transport"]
    if transport == "auto":
        transport = "https" if found.asks == AT_ONCE else "mqtt"
    if transport == "https" and found.asks != AT_ONCE:
        raise ToolError(
            "this hub asks for the certificate late, which stock MicroPython refuses: set"
            ' "transport" to "auto" in config.json'
        )
    if transport == "mqtt" and refusal:
        raise ToolError(f"a board would send by MQTT, which fails: {refusal}")
    return transport


def _by_mqtt(identity: Identity, assignment) -> str:
    """Connect, and send nothing → why that failed, "" if it did not."""
    link = Link(identity)
    client = mqtt.Mqtt(Connection())
    try:
        link.run(client.connect(assignment.hub, assignment.device_id, TIMEOUT_S * 1000))
    except Error as error:
        return str(error)
    finally:
        link.close()
    return ""


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "live-check",
        help="check the way to DPS and the hub with a device's own files",
        description=__doc__,
        epilog="example: microdps live-check device",
    )
    add_device(verb)
    verb.set_defaults(function=_run)


def _run(args: argparse.Namespace) -> None:
    transport = live_check(args.folder, args.slot, print)
    print(f"a board will send by {transport.upper()}")
