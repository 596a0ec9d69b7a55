"""Bring DPS and the hubs to their ports: each to ports of its own, or all to Azure's by name."""

from collections.abc import Callable

from twisted.web.server import Site

from .. import ToolError
from ..certs.making import CertAndKey
from .by_name import (
    DPS_NAME,
    HTTPS_PORT,
    MQTT_PORT,
    Endpoint,
    NamedFactory,
    TLSByName,
    hub_name,
)
from .channel import Channel
from .dps.device_api import Dps
from .dps.mqtt import dps_mqtt_server
from .faults import Faults
from .http_service import BoundedRequest, Context, HttpService
from .hub.device_api import Hub
from .hub.mqtt import hub_mqtt_server
from .listener import Listener
from .server_certificate import server_certificate, wrong_server_certificate
from .settings import Settings
from .tls import ServerTLS


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


def make_site(service: HttpService) -> Site:
    site = Site(service, BoundedRequest)
    site.noisy = False
    site.protocol = Channel  # type: ignore[assignment]
    site.log = lambda request: None  # type: ignore  # the service records its requests itself
    return site


def open_endpoints(
    settings: Settings, context: Context, note: Callable[[str], None]
) -> tuple[Dps, list[Hub], Listener]:
    """Start DPS and the hubs. note: takes lines about their addresses. Raises ToolError."""
    tls = TlsMaker(settings, context.faults)
    listener = Listener.of(settings.host)
    hubs = [
        Hub(context, tls.make("hub", settings.late), errors=settings.errors)
        for _ in range(settings.hubs)
    ]
    dps = Dps(
        context,
        tls.make("dps"),
        hubs=hubs,
        retry_after_s=settings.retry_after_s,
        assign_after_s=settings.assign_after_s,
    )
    if settings.names == "azure":
        _listen_by_name(dps, hubs, tls, listener, note)
    else:
        _listen_by_port(settings, dps, hubs, tls, listener)
    return dps, hubs, listener


def _listen_by_port(
    settings: Settings,
    dps: Dps,
    hubs: list[Hub],
    tls: TlsMaker,
    listener: Listener,
) -> None:
    """Give each hub two ports, for HTTPS and MQTT, and DPS the same."""
    for number, hub in enumerate(hubs):
        port = settings.hub_port and settings.hub_port + 2 * number
        # MQTT always asks for the certificate in the first handshake.
        mqtt_tls, mqtt = tls.make("hub"), hub_mqtt_server(hub)
        hub.host = listener.listen_pair(port, hub.tls, make_site(hub), mqtt_tls, mqtt)
    dps.host = listener.host(listener.listen(settings.dps_port, dps.tls, make_site(dps)))
    dps.service_host = dps.host
    dps.mqtt_host = _listen_for_dps_mqtt(settings, dps, tls, listener)


def _listen_for_dps_mqtt(settings: Settings, dps: Dps, tls: TlsMaker, listener: Listener) -> str:
    """Listen for DPS over MQTT → host and port. Raises ToolError."""
    sides = tls.make("dps"), dps_mqtt_server(dps)
    if settings.dps_mqtt_port is None and settings.dps_port:
        try:
            return listener.host(listener.listen(MQTT_PORT, *sides))
        except ToolError:  # another program has this port; nobody has asked for it by number
            return listener.host(listener.listen(0, *sides))
    return listener.host(listener.listen(settings.dps_mqtt_port or 0, *sides))


def _listen_by_name(
    dps: Dps, hubs: list[Hub], tls: TlsMaker, listener: Listener, note: Callable[[str], None]
) -> None:
    """Listen on ports 443 and 8883 for DPS and all hubs."""
    dps.host = DPS_NAME
    dps.service_host = listener.name
    dps.aliases = {listener.name.lower(), listener.address}
    https = {DPS_NAME: Endpoint(dps, dps.tls, make_site(dps))}
    mqtt = {DPS_NAME: Endpoint(dps, tls.make("dps"), dps_mqtt_server(dps))}
    for number, hub in enumerate(hubs, 1):
        hub.host = hub_name(number)
        https[hub.host] = Endpoint(hub, hub.tls, make_site(hub))
        mqtt[hub.host] = Endpoint(hub, tls.make("hub"), hub_mqtt_server(hub))
    for port, by_name in ((HTTPS_PORT, https), (MQTT_PORT, mqtt)):
        shared = TLSByName(by_name, by_name[DPS_NAME])
        listener.listen(port, shared, NamedFactory(shared))
    note("for the clients' /etc/hosts:")
    for name in https:
        note(f"{listener.address} {name}")
