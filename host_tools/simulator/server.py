"""Start the simulated services on their ports."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from twisted.web.server import Site

from .. import ToolError
from ..files import write_files
from .dps.authorization import KEY_NAME
from .endpoints import open_endpoints
from .faults import Faults
from .http_service import Context
from .limits import Limits
from .page.admin import Admin
from .page.page import Page
from .settings import Settings
from .state_lock import lock_state, tell_holder
from .store.store import Store


@dataclass
class Running:
    """The addresses of the services, and the other values that a client needs.

    dps_mqtt  host of DPS over MQTT; "": the same name as dps, on port 8883
    lock      the locked file of the state, which must stay open
    """

    dps: str
    hubs: list[str]
    page: str
    root: Path
    id_scope: str
    connection_string: str
    dps_mqtt: str
    lock: IO[str]


def start(settings: Settings, log: Callable[[str], None]) -> Running:
    """Listen on all ports. The caller runs the reactor. Raises ToolError.

    log  a function that takes one or more lines
    """
    lock = lock_state(settings.state)
    store = _open_store(settings.state)
    store.cloud_to_device.unlock_all()
    faults, limits = _switch_on_faults(settings), Limits(settings.limits)
    context = Context(store, faults, limits, log, settings.readings)
    dps, hubs, listener = open_endpoints(settings, context, log)
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
        _write_connection_string(settings.state, dps.service_host, store.service_key),
        dps.mqtt_host,
        lock,
    )


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
