"""Runs the simulated services on their ports."""

import contextlib
import datetime
import ipaddress
import socket
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.web.server import Site

from .. import ToolError
from ..certs import encoding
from ..certs.making import CA_DAYS, CertAndKey, issue
from ..certs.reading import load_cert_and_key
from ..files import write_files
from .dps import device_api as dps
from .dps import service_api as enrollments
from .faults import Faults
from .http_service import BoundedRequest, Channel, Common, Service
from .hub import device_api as hub
from .hub import mqtt
from .limits import Limits
from .page.admin import Admin
from .page.page import Page
from .settings import Settings
from .store.store import Store
from .tls import ServerTLS

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

# How many connections may wait to be accepted.
BACKLOG = 1024


@dataclass
class Running:
    """Where the services are, and what a client needs."""

    dps: str
    hubs: list[str]
    page: str
    root: Path
    id_scope: str
    connection_string: str


def server_identity(folder: Path, host: str) -> CertAndKey:
    """The servers' certificate, new at each start, under a root that stays the same.

    host  a name or an IP address that it is for, besides this machine's own
    """
    root_cert, root_key = folder / "root.cert.pem", folder / "root.key.pem"
    if root_cert.exists():
        root = load_cert_and_key(root_cert, root_key)
    else:
        root = issue("microdps simulator root", ca=True, days=CA_DAYS)
        write_files(folder, encoding.pem_files("root", root))
    return _server(root, _names(host))


def wrong_identity(folder: Path, host: str, what: str) -> CertAndKey:
    """A certificate that a client must refuse: "expired", of an "unknown" root, or for another
    "host"."""
    if what == "unknown":
        return _server(issue("unknown root", ca=True), _names(host))
    root = load_cert_and_key(folder / "root.cert.pem", folder / "root.key.pem")
    if what == "host":
        return _server(root, (x509.DNSName("elsewhere.azure-devices.net"),))
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=SERVER_DAYS + 1)
    return _server(root, _names(host), start)


def _server(
    root: CertAndKey,
    names: tuple[x509.GeneralName, ...],
    start: datetime.datetime | None = None,
) -> CertAndKey:
    return issue(
        "microdps simulator",
        root,
        days=SERVER_DAYS,
        usage=x509.oid.ExtendedKeyUsageOID.SERVER_AUTH,
        hosts=names,
        start=start,
    )


def _names(host: str) -> tuple[x509.GeneralName, ...]:
    return (
        *map(x509.DNSName, NAMES),
        x509.IPAddress(ipaddress.ip_address(ADDRESS)),
        *([] if host in NAMES else [_general_name(host)]),
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
    faults = Faults(settings.seed)
    for fault in settings.faults:
        faults.add(fault)
    common = Common(store, faults, Limits(settings.limits), log)
    server = server_identity(settings.state, settings.host)
    listen = Listener(settings.host, _address(settings.host))
    wrong: dict[str, CertAndKey] = {}

    def tls(name: str, late: str = "") -> ServerTLS:
        def struck() -> CertAndKey | None:
            fault = faults.strike(name, connection=True).get("certificate")
            if fault and fault.value not in wrong:
                wrong[fault.value] = wrong_identity(settings.state, settings.host, fault.value)
            return wrong[fault.value] if fault else None

        return ServerTLS(server, late, struck)

    hubs = []
    for number in range(settings.hubs):
        hub_tls = tls("hub", settings.late)
        service = hub.Hub(common, hub_tls, errors=settings.errors)
        # MQTT asks for the certificate in the first handshake, whatever the other port does.
        port = settings.hub_port and settings.hub_port + 2 * number
        service.host = listen.pair(port, hub_tls, _site(service), tls("hub"), mqtt.Mqtt(service))
        hubs.append(service)
    dps_tls = tls("dps")
    dps_service = dps.Dps(
        common,
        dps_tls,
        hubs=hubs,
        retry_after_s=settings.retry_after_s,
        assign_after_s=settings.assign_after_s,
    )
    dps_host = listen.host(listen.on(settings.dps_port, dps_tls, _site(dps_service)))
    page = Page(store, hubs)
    page.putChild(b"admin", Admin(common, hubs))  # type: ignore[arg-type]
    page_port = listen.plain(settings.page_port, Site(page)).getHost().port
    connection_string = (
        f"HostName={dps_host};SharedAccessKeyName={enrollments.KEY_NAME};"
        f"SharedAccessKey={store.service_key}"
    )
    connection = {"connection-string.key.txt": f"{connection_string}\n".encode()}
    write_files(settings.state, connection, force=True)
    return Running(
        dps_host,
        [service.host for service in hubs],
        f"http://localhost:{page_port}/",
        (settings.state / "root.cert.pem").resolve(),
        store.id_scope,
        connection_string,
    )


def _site(service: Service) -> Site:
    site = Site(service, BoundedRequest)
    site.noisy = False
    site.protocol = Channel  # type: ignore[assignment]
    site.log = lambda request: None  # type: ignore  # the service has its own
    return site


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
        with _told(port, self.address):
            return reactor.listenSSL(  # type: ignore[attr-defined]
                port, factory, tls, interface=self.address, backlog=BACKLOG
            )

    def plain(self, port: int, factory):
        """Serve without TLS, and never beyond loopback. Raises ToolError."""
        with _told(port, ADDRESS):
            return reactor.listenTCP(port, factory, interface=ADDRESS)  # type: ignore

    def host(self, listening) -> str:
        return f"{self.name}:{listening.getHost().port}"


@contextlib.contextmanager
def _told(port: int, address: str) -> Iterator[None]:
    """A port that cannot be listened on becomes a ToolError."""
    try:
        yield
    except CannotListenError as error:
        raise ToolError(
            f"cannot listen on port {port} ({error.socketError.strerror} on {address}): stop what"
            " uses it, or choose other ports with --dps-port, --hub-port (a hub's MQTT is on the"
            " next one, another hub on the one after that) and --page-port, and for --host an"
            " address of this machine"
        ) from error
