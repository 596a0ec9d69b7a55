"""The settings of a simulator. This module imports no Twisted, which takes long to load."""

from dataclasses import dataclass, field
from pathlib import Path

# The two documented bodies of a hub's errors.
ERROR_BODIES = ("legacy", "new")


@dataclass
class Settings:
    """The options of `microdps simulate`.

    late  how the hubs treat a request without a certificate: "", "renegotiate", "close" or
          "unauthorized", as tls.ServerTLS describes
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
