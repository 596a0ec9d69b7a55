"""What most requests do without: URLs, redirects, other headers, IDs with odd characters."""

from micropython import const

from microdps.errors import ProtocolError
from microdps.http import split_host

# How often one request is redirected.
_REDIRECTS = const(5)


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


def percent(text: str) -> str:
    """Percent-encode all but letters, digits and -_.~ (RFC 3986, 2.3)."""
    out = ""
    for b in text.encode():
        char = chr(b)
        plain = b < 128 and (char.isalpha() or char.isdigit() or char in "-_.~")
        out += char if plain else "%%%02X" % b
    return out


def header(response, name: str):
    """Value of a response's first header of that name, in any case → bytes, or None."""
    want = ("\n%s:" % name.lower()).encode()
    buf, end = response.buf, response.head_end
    at = buf.find(b"\n", response.head, end)
    while at >= 0:
        colon = at + len(want)
        if buf[at:colon].lower() == want:
            return bytes(buf[colon : buf.find(b"\r", at)]).strip(b" \t")
        at = buf.find(b"\n", at + 1, end)
    return None


def follow(connection, method: str, host: str, fields: bytes, body, hops: int):
    """The flow that asks again where a 307 or 308 from a host leads. Raises ProtocolError."""
    where, path = redirect(connection, host, hops)
    return connection.request(method, where, path, fields, body, None, hops + 1)


def redirect(response, host: str, hops: int):
    """Where a 307 or 308 from a host leads → (host, path). To https only, _REDIRECTS times."""
    if hops == _REDIRECTS:
        raise ProtocolError("redirects", host)
    try:
        url = (header(response, "location") or b"").decode()
        if url[:2] == "//":
            url = "https:" + url
        elif url[:1] == "/":
            url = "https://" + host + url
        return split_url(url)
    except ValueError:  # a UnicodeError is one
        raise ProtocolError("redirect", host)
