"""The settings of a simulator. This module imports no Twisted, which takes long to load."""

from dataclasses import dataclass, field
from pathlib import Path

# The two documented bodies of a hub's errors.
ERROR_BODIES = ("legacy", "new")


@dataclass(frozen=True)
class Readings:
    """How to read what the documents leave open. The defaults are what they say most likely.

    stored_ca        a verified CA certificate counts also if the device did not send it, and it
                     signed the last certificate that the device sent
    group_by_issuer  a hub knows a group's device by its issuer; False: by the leaf's thumbprint
    unknown_404      DPS refuses unknown certificates with 404201; False: with 401002
    """

    stored_ca: bool = False
    group_by_issuer: bool = False
    unknown_404: bool = False


@dataclass
class Settings:
    """The options of `microdps simulate`.

    late           how the hubs treat a request without a certificate: "", "renegotiate", "close"
                   or "unauthorized", as tls.ServerTLS describes
    names          "ports": each service has its own ports; "azure": names, on ports 443 and 8883
    dps_mqtt_port  None: 8883 if it is free, else any
    keep_count     how many messages are kept, and how many bytes of them
    """

    state: Path
    host: str = "localhost"
    id_scope: str | None = None
    dps_port: int = 8443
    hub_port: int = 8444
    page_port: int = 8442
    hubs: int = 1
    late: str = ""
    errors: str = "legacy"
    retry_after_s: int = 3
    assign_after_s: float = 1.0
    limits: bool = True
    faults: list[str] = field(default_factory=list)
    seed: int = 0
    readings: Readings = Readings()
    names: str = "ports"
    dps_mqtt_port: int | None = None
    keep_count: int = 1_000_000
    keep_bytes: int = 10**9
