"""Start the simulated services on their ports."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from twisted.web.server import Site

from .. import ToolError
from ..certs.making import CertAndKey
from ..files import write_files
from .channel import Channel
from .dps.authorization import KEY_NAME
from .dps.device_api import Dps
from .faults import Faults
from .http_service import BoundedRequest, Context, HttpService
from .hub.device_api import Hub
from .hub.mqtt import MqttServer
from .limits import Limits
from .listener import Listener, address_of
from .page.admin import Admin
from .page.page import Page
from .server_certificate import server_certificate, wrong_server_certificate
from .settings import Settings
from .state_lock import lock_state, tell_holder
from .store.store import Store
from .tls import ServerTLS


@dataclass
class Running:
    """The addresses of the services, and the other values that a client needs.

    lock  the locked file of the state, which must stay open
    """

    dps: str
    hubs: list[str]
    page: str
    root: Path
    id_scope: str
    connection_string: str
    lock: IO[str]


def start(settings: Settings, log: Callable[[str], None]) -> Running:
    """Listen on all ports. The caller runs the reactor. Raises ToolError.

    log  a function that takes one or more lines
    """
    lock = lock_state(settings.state)
    store = _open_store(settings.state)
    faults, limits = _switch_on_faults(settings), Limits(settings.limits)
    context = Context(store, faults, limits, log, settings.readings)
    tls = TlsMaker(settings, context.faults)
    listener = Listener(settings.host, address_of(settings.host))
    hubs = _start_hubs(settings, context, tls, listener)
    dps = _start_dps(settings, context, tls, listener, hubs)
    page = Page(store, hubs)
    page.putChild(b"admin", Admin(context, hubs))  # type: ignore[arg-type]
    page_port = listener.listen_plain(settings.page_port, Site(page)).getHost().port
    # Only now, when all ports are bound, is anything of the state changed.
    if settings.id_scope:
        store.set("id_scope", settings.id_scope)
    store.messages.limit(settings.keep_count, settings.keep_bytes)
    tell_holder(lock, f"DPS on {dps.host}, page on port {page_port}")
    return Running(
        dps.host,
        [hub.host for hub in hubs],
        f"http://localhost:{page_port}/",
        (settings.state / "root.cert.pem").resolve(),
        store.id_scope,
        _write_connection_string(settings.state, dps.host, store.service_key),
        lock,
    )


def _start_dps(
    settings: Settings, context: Context, tls: TlsMaker, listener: Listener, hubs: list[Hub]
) -> Dps:
    dps_tls = tls.make("dps")
    dps = Dps(
        context,
        dps_tls,
        hubs=hubs,
        retry_after_s=settings.retry_after_s,
        assign_after_s=settings.assign_after_s,
    )
    dps.host = listener.host(listener.listen(settings.dps_port, dps_tls, make_site(dps)))
    return dps


def _write_connection_string(state: Path, host: str, key: str) -> str:
    """Write the connection string of the service API into a file → the connection string."""
    text = f"HostName={host};SharedAccessKeyName={KEY_NAME};SharedAccessKey={key}"
    write_files(state, {"connection-string.key.txt": f"{text}\n".encode()}, force=True)
    return text


def _open_store(state: Path) -> Store:
    try:
        return Store(state)
    except (OSError, sqlite3.Error) as error:
        raise ToolError(
            f"cannot keep the state in {state}: {error}; give another folder with --state"
        ) from error


def _switch_on_faults(settings: Settings) -> Faults:
    faults = Faults(settings.seed)
    for fault in settings.faults:
        faults.add(fault)
    return faults


class TlsMaker:
    """Makes the TLS side of each service. A fault can give a connection a wrong certificate."""

    def __init__(self, settings: Settings, faults: Faults):
        self._settings = settings
        self._faults = faults
        self._server = server_certificate(settings.state, settings.host)
        self._wrong: dict[str, CertAndKey] = {}

    def make(self, name: str, late: str = "") -> ServerTLS:
        return ServerTLS(self._server, late, lambda: self._wrong_certificate(name))

    def _wrong_certificate(self, name: str) -> CertAndKey | None:
        """The certificate for a new connection, if a fault applies to it."""
        fault = self._faults.trigger(name, connection=True).get("certificate")
        if fault and fault.value not in self._wrong:
            state, host = self._settings.state, self._settings.host
            self._wrong[fault.value] = wrong_server_certificate(state, host, fault.value)
        return self._wrong[fault.value] if fault else None


def _start_hubs(
    settings: Settings, context: Context, tls: TlsMaker, listener: Listener
) -> list[Hub]:
    """Start the hubs, each on two ports: HTTPS and MQTT."""
    hubs = []
    for number in range(settings.hubs):
        hub_tls = tls.make("hub", settings.late)
        hub = Hub(context, hub_tls, errors=settings.errors)
        port = settings.hub_port and settings.hub_port + 2 * number
        # MQTT always asks for the certificate in the first handshake.
        mqtt_tls, mqtt = tls.make("hub"), MqttServer(hub)
        hub.host = listener.listen_pair(port, hub_tls, make_site(hub), mqtt_tls, mqtt)
        hubs.append(hub)
    return hubs


def make_site(service: HttpService) -> Site:
    site = Site(service, BoundedRequest)
    site.noisy = False
    site.protocol = Channel  # type: ignore[assignment]
    site.log = lambda request: None  # type: ignore  # the service records its requests itself
    return site
