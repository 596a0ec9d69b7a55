"""The trusted roots of a device: Azure's, or those of a file."""

import functools
import hashlib
import re
import ssl
from pathlib import Path

import certifi

from .. import ToolError
from ..certs.encoding import der
from ..certs.reading import load_certs

# How the name of every DPS host of Azure's ends.
AZURE_HOST = ".azure-devices-provisioning.net"

# SHA-256 thumbprints of the roots of Azure's server certificates: DigiCert Global Root G2 and
# Microsoft RSA Root Certificate Authority 2017 (Azure documentation, "TLS support in DPS").
AZURE_ROOTS = (
    "cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f",
    "c741f70f4b2a8d88bf2e71c14122ef53ef10eba0cfa5e64cfa20f418853073e0",
)
PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def load_roots(source: str) -> bytes:
    """The content of roots.der. source: "azure", or the path of a PEM or DER file.

    Raises ToolError.
    """
    return _azure_roots() if source == "azure" else der(*load_certs(Path(source)))


@functools.cache
def _azure_roots() -> bytes:
    # certifi's file is not parsed as certificates: some of them cause warnings.
    found = {
        hashlib.sha256(cert).hexdigest(): cert
        for cert in map(ssl.PEM_cert_to_DER_cert, PEM.findall(Path(certifi.where()).read_text()))
    }
    missing = [thumbprint for thumbprint in AZURE_ROOTS if thumbprint not in found]
    if missing:
        raise ToolError(f"certifi has no root {missing[0]}: install another version of certifi")
    return b"".join(found[thumbprint] for thumbprint in AZURE_ROOTS)
