"""Runs the simulated services on their ports."""

import ipaddress
import socket
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.web.server import Site

from host_tools import ToolError, certs
from host_tools.simulator import dps, hub, mqtt
from host_tools.simulator.store import Store
from host_tools.simulator.tls import ServerTLS

# The names that the how-to's commands use, and this machine's.
NAMES = (
    "global.azure-devices-provisioning.net",
    "*.azure-devices-provisioning.net",
    "*.azure-devices.net",
    "localhost",
)
ADDRESS = "127.0.0.1"

# How often two free ports in a row are looked for.
TRIES = 20
SERVER_DAYS = 30


@dataclass
class Settings:
    """What `microdps simulate` is given."""

    state: Path
    host: str = "localhost"
    id_scope: str | None = None
    dps_port: int = 8443
    hub_port: int = 8444
    late: str = ""
    retry_after_s: int = 3
    assign_after_s: float = 1.0


@dataclass
class Running:
    """Where the services are, and what a client needs."""

    dps: str
    hub: str
    root: Path
    id_scope: str
    connection_string: str


def server_identity(folder: Path, host: str) -> certs.Pair:
    """The servers' certificate, new at each start, under a root that stays the same.

    host  a name or an IP address that it is for, besides this machine's own
    """
    root_cert, root_key = folder / "root.cert.pem", folder / "root.key.pem"
    if root_cert.exists():
        root = certs.load_pair(root_cert, root_key)
    else:
        root = certs.issue("microdps simulator root", ca=True, days=certs.CA_DAYS)
        certs.write_new(
            folder, {root_key.name: certs.key_pem(root), root_cert.name: certs.pem(root.cert)}
        )
    return certs.issue(
        "microdps simulator",
        root,
        days=SERVER_DAYS,
        usage=x509.oid.ExtendedKeyUsageOID.SERVER_AUTH,
        hosts=(
            *map(x509.DNSName, NAMES),
            x509.IPAddress(ipaddress.ip_address(ADDRESS)),
            *([] if host in NAMES else [_general_name(host)]),
        ),
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _address(host: str) -> str:
    """The address of this machine to listen on: loopback, unless a host is named. Raises
    ToolError."""
    if host == "localhost":
        return ADDRESS
    try:
        return socket.gethostbyname(host)
    except OSError as error:
        raise ToolError(f"--host {host}: no address is known for it ({error})") from error


def start(settings: Settings, log: Callable[[str], None]) -> Running:
    """Listen on the ports → where. The reactor is not run yet. Raises ToolError."""
    try:
        store = Store(settings.state)
    except (OSError, sqlite3.Error) as error:
        raise ToolError(f"cannot keep the state in {settings.state}: {error}") from error
    if settings.id_scope:
        store.set("id_scope", settings.id_scope)
    server = server_identity(settings.state, settings.host)
    listen = Listener(settings.host, _address(settings.host))
    hub_tls = ServerTLS(server, [], settings.late)
    hub_service = hub.Hub(store, hub_tls, log)
    # MQTT asks for the certificate in the first handshake, whatever the other port does.
    mqtt_service = mqtt.Mqtt(hub_service)
    hub_service.host = listen.pair(
        settings.hub_port, hub_tls, Site(hub_service), ServerTLS(server, []), mqtt_service
    )
    dps_tls = ServerTLS(server, [])
    dps_service = dps.Dps(
        store,
        dps_tls,
        log,
        hub=hub_service.host,
        retry_after_s=settings.retry_after_s,
        assign_after_s=settings.assign_after_s,
    )
    dps_host = listen.host(listen.on(settings.dps_port, dps_tls, Site(dps_service)))
    connection_string = (
        f"HostName={dps_host};SharedAccessKeyName={dps.KEY_NAME};"
        f"SharedAccessKey={store.service_key}"
    )
    connection = {"connection-string.key.txt": f"{connection_string}\n".encode()}
    certs.write_new(settings.state, connection, force=True)
    root = (settings.state / "root.cert.pem").resolve()
    return Running(dps_host, hub_service.host, root, store.id_scope, connection_string)


@dataclass
class Listener:
    """Where the services listen: one address, known by a name."""

    name: str
    address: str

    def pair(self, port: int, tls: ServerTLS, factory, next_tls: ServerTLS, next_factory) -> str:
        """Serve on a port and on the next one → the first one's host. Raises ToolError."""
        for left in range(TRIES, 0, -1):
            first = self.on(port, tls, factory)
            try:
                self.on(first.getHost().port + 1, next_tls, next_factory)
                break
            except ToolError:
                first.stopListening()
                if port or left == 1:
                    raise
        return self.host(first)

    def on(self, port: int, tls: ServerTLS, factory):
        """Serve on a port; 0: any that is free. Raises ToolError."""
        try:
            return reactor.listenSSL(  # type: ignore[attr-defined]
                port, factory, tls, interface=self.address
            )
        except CannotListenError as error:
            raise ToolError(
                f"cannot listen on port {port} ({error.socketError.strerror} on {self.address}):"
                " stop what uses it, or choose other ports with --dps-port and --hub-port (the"
                " hub's MQTT is on the next), and for --host an address of this machine"
            ) from error

    def host(self, listening) -> str:
        return f"{self.name}:{listening.getHost().port}"
