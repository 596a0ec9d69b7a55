"""Redirects (RFC 9110, 15.4), and the URLs that they need. Loaded when there is one, and by
microdps.client."""

from micropython import const

from microdps.errors import ProtocolError
from microdps.protocol.answer import header
from microdps.protocol.url import split_host

# How often one request is redirected.
_REDIRECTS = const(5)

# What a request's head needs beside its URL and its header lines, and some more.
_ROOM = const(128)


def split_url(url: str):
    """Split `https://host[:port]/path?query#fragment` → (host, path with query).

    Raises ValueError if it is no https URL, names a user, or holds a space or a control character.
    """
    host, slash, path = url[8:].split("#")[0].partition("/")
    host, mark, query = host.partition("?")
    split_host(host)
    if url[:8].lower() != "https://" or not visible(url):
        raise ValueError("not an https URL: " + url)
    return host, "/" + mark + query + (slash if mark else "") + path


def visible(text: str) -> bool:
    """True if the text has no space, control or non-ASCII character: it cannot split a head."""
    for byte in text.encode():
        if not 32 < byte < 127:
            return False
    return True


def redirect(response, host: str, hops: int, fields: bytes):
    """Where a 307 or 308 from a host leads → (host, path). Raises ProtocolError if that is not
    https, another's host, too long for a request, or after _REDIRECTS times."""
    if hops == _REDIRECTS:
        raise ProtocolError("redirects", host)
    try:
        url = (header(response, "location") or b"").decode()
        if url[:2] == "//":
            url = "https:" + url
        elif url[:1] == "/":
            url = "https://" + host + url
        target, path = split_url(url)
    except ValueError:  # a UnicodeError is one
        raise ProtocolError("redirect", host)
    room = len(response.buf) - len(fields) - _ROOM
    if len(url) > room or not _same_owner(split_host(host)[0], split_host(target)[0]):
        raise ProtocolError("redirect", host)
    return target, path


def _same_owner(name: str, other: str) -> bool:
    """Are two hosts the same, or both of one of Azure's domains (azure-devices.net, …)?"""
    domain = name.lower().split(".")[-2:]
    azure = len(domain) == 2 and domain[0].startswith("azure-devices")
    return name.lower() == other.lower() or (azure and other.lower().split(".")[-2:] == domain)
