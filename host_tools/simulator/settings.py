"""What a simulator can be told when it starts; without Twisted, which takes its time to load."""

from dataclasses import dataclass, field
from pathlib import Path

# The two documented bodies of a hub's errors.
ERRORS = ("legacy", "new")


@dataclass
class Settings:
    """What `microdps simulate` is given."""

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
