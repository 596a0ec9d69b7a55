"""The servers' certificate: a new one at each start, below a root that stays the same."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509

from ..certs.encoding import pem_files
from ..certs.making import CA_DAYS, CertAndKey, issue
from ..certs.reading import load_cert_and_key
from ..files import write_files

# The names in the how-to's commands, and this computer's.
NAMES = (
    "global.azure-devices-provisioning.net",
    "*.azure-devices-provisioning.net",
    "*.azure-devices.net",
    "localhost",
)
LOOPBACK = "127.0.0.1"
SERVER_DAYS = 30


def server_certificate(folder: Path, host: str) -> CertAndKey:
    """Make the servers' certificate. The root is read from the folder, or made there.

    host  a name or an IP address for the certificate, besides this computer's own
    """
    if (folder / "root.cert.pem").exists():
        root = _root(folder)
    else:
        root = issue("microdps simulator root", ca=True, days=CA_DAYS)
        write_files(folder, pem_files("root", root))
    return _issue_server(root, _names(host))


def wrong_server_certificate(folder: Path, host: str, problem: str) -> CertAndKey:
    """A certificate that a client must refuse.

    problem  "expired"; "unknown": below another root; "host": for another host
    """
    if problem == "unknown":
        return _issue_server(issue("unknown root", ca=True), _names(host))
    if problem == "host":
        return _issue_server(_root(folder), (x509.DNSName("elsewhere.azure-devices.net"),))
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=SERVER_DAYS + 1)
    return _issue_server(_root(folder), _names(host), start)


def _root(folder: Path) -> CertAndKey:
    return load_cert_and_key(folder / "root.cert.pem", folder / "root.key.pem")


def _issue_server(
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
        x509.IPAddress(ipaddress.ip_address(LOOPBACK)),
        *([] if host in NAMES else [_general_name(host)]),
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
