"""The root of the service's certificate, as HTTP libraries take it: a file in PEM."""

import atexit
import os
import tempfile
from pathlib import Path

from .. import ToolError
from ..certs.encoding import pem
from ..certs.reading import load_certs


def trusted_file(ca: Path | None) -> str | bool:
    """The file with the root, in PEM; True, for the well-known roots, if there is none.

    ca  in any form that certs/blocks.py reads; if it is not plain PEM, a copy is made, which
        disappears at the end of the process
    Raises ToolError.
    """
    if ca is None:
        return True
    try:
        content = pem(*load_certs(ca))
    except ToolError as error:
        raise ToolError(f"--ca: {error}") from error
    if content in ca.read_bytes():
        return str(ca)
    descriptor, name = tempfile.mkstemp(prefix="microdps-", suffix=".pem")
    atexit.register(Path(name).unlink, missing_ok=True)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return name
