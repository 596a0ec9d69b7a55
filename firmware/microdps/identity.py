"""The device's key, certificate chain and trusted roots, as DER.

key    SEC1 (EC) or PKCS#1 (RSA): the two encodings that every MicroPython release loads
cert   the leaf, then each issuer that the service needs, one after the other
roots  the roots that a server's certificate may lead to, one after the other

Sources: RFC 5915 (SEC1 EC keys), RFC 8017, A.1.2 (PKCS#1), X.690, 8.1 (DER lengths).
"""

import io

from micropython import const

from microdps.errors import IdentityError

# More would be no key, chain or set of roots of a device, and not fit its memory.
_FILE = const(8192)

# ESP_ERR_NVS_INVALID_LENGTH (esp-idf, nvs.h).
_TOO_SHORT = const(-0x110C)

# The Certificate message of TLS 1.2 must fit Mbed TLS's output buffer: 7 + Σ(length + 3) bytes.
_CHAIN = const(4096)


def header(der: bytes, at: int, name: str, tag: int = 0x30):
    """The header of the DER element at `at` → (where its content begins, where it ends).

    Raises IdentityError if the tag differs, or the length is not DER's.
    """
    length = der[at + 1] if at + 1 < len(der) else 0xFF
    begin = at + 2
    n = 1
    if length > 0x7F:  # of one or two bytes, and no fewer would do
        n = length - 0x80
        begin += n
        length = int.from_bytes(der[at + 2 : begin], "big")
        if length < n * 0x80:
            n = 0
    if not 0 < n < 3 or begin > len(der) or der[at] != tag:
        raise IdentityError("not-der", name)
    return begin, begin + length


def element(der: bytes, at: int, name: str, tag: int = 0x30):
    """The same, for an element that must be whole. Raises IdentityError if it is not."""
    begin, end = header(der, at, name, tag)
    if end > len(der):
        raise IdentityError("not-der", name)
    return begin, end


def split(stream, name: str):
    """Split concatenated DER certificates → an iterator of bytes, one certificate at a time in
    memory; at least one. Raises IdentityError.

    stream  open for reading
    """
    at = 0
    head = stream.read(4)
    while True:
        end = header(head, 0, name)[1]
        stream.seek(at)
        cert = stream.read(end)
        if len(cert) != end:
            raise IdentityError("not-der", name)
        yield cert
        at += end
        del cert
        head = stream.read(4)
        if not head:
            return


class Identity:
    """Key, chain and roots, read when they are asked for: a board keeps them in TLS's memory only.

    source  a function that is handed where a part lies, and returns a stream
    place   where they lie, with %s for "key", "cert" or "roots"

    Raises IdentityError, which names the part.
    """

    def __init__(self, source, place: str):
        self.source = source
        self.place = place
        key = self.part("key")
        name = self.name("key")
        at, end = element(key, 0, name)
        if end < len(key):
            raise IdentityError("not-der", name)
        # What the key's certificate must contain.
        if key[at : at + 3] == b"\2\1\1":  # SEC1, which ends with the point
            public = key[-32:]
        elif key[at : at + 4] == b"\2\1\0\2":  # PKCS#1: the modulus comes first
            public = key[at + 12 : at + 76]
        else:
            raise IdentityError("key-encoding", name)
        own = None
        for cert in self.certs("cert"):
            if own is None:
                own = public in cert
        if not own:
            raise IdentityError("mismatch", name)
        for _ in self.certs("roots"):
            pass

    def context(self):
        """The tls.SSLContext of a client with this identity, which verifies the server.

        Raises IdentityError if Mbed TLS refuses the key, a certificate or a root.
        """
        import tls

        made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        made.verify_mode = tls.CERT_REQUIRED
        part = "key"
        try:
            key = self.part(part)
            # It takes one certificate from a DER blob, and appends with each call.
            for cert in self.certs("cert"):
                made.load_cert_chain(cert, key)
            part = "roots"
            for root in self.certs("roots"):
                made.load_verify_locations(root)
        except ValueError as error:
            if part == "key" and "cert" in str(error):
                part = "cert"
            raise IdentityError("unreadable", self.name(part))
        return made

    @classmethod
    def from_files(cls, folder: str):
        """The identity in a folder with key.der, cert.der and roots.der, checked.

        Raises IdentityError, which names the file.
        """
        return cls(_open_file, folder + "/%s.der")

    @classmethod
    def from_nvs(cls, namespace: str):
        """The identity in the blobs key, cert and roots of a namespace of the ESP32's non-volatile
        storage, checked. esp-idf-nvs-partition-gen makes them with the encoding binary.

        Raises IdentityError, which names the blob; ImportError if this is no ESP32.
        """
        return cls(_open_blob, "nvs:" + namespace + "/%s")

    def name(self, part: str) -> str:
        """Where a part lies."""
        return self.place % part

    def stream(self, part: str):
        """A part, open for reading. Raises IdentityError if it is missing, too large, or PEM."""
        name = self.name(part)
        try:
            stream = self.source(name)
        except OSError:
            raise IdentityError("missing", name)
        if stream is None:
            raise IdentityError("file-limit", name)
        code = "file-limit" if stream.seek(0, 2) > _FILE else ""
        stream.seek(0)
        if stream.read(10) == b"-----BEGIN":
            code = "pem"
        if code:
            stream.close()
            raise IdentityError(code, name)
        stream.seek(0)
        return stream

    def part(self, part: str) -> bytes:
        """The bytes of a part. Raises IdentityError, as stream() does."""
        with self.stream(part) as stream:
            return stream.read()

    def certs(self, part: str):
        """The certificates of a part: the leaf, then its issuers, of "cert"; those of "roots" → an
        iterator of bytes, at least one.

        Raises IdentityError, also if the chain is more than TLS can send.
        """
        size = 7
        with self.stream(part) as stream:
            for cert in split(stream, self.name(part)):
                size += len(cert) + 3
                if part == "cert" and size > _CHAIN:
                    raise IdentityError("chain-limit", self.name(part))
                yield cert


def _open_file(name: str):
    return open(name, "rb")  # noqa: SIM115  the caller closes it


def _open_blob(name: str):
    blob = read_blob(name, _FILE)
    return blob if blob is None else io.BytesIO(blob)


def read_blob(name: str, limit: int):
    """A blob of the non-volatile storage → bytes, or None if it is over the limit.

    name  "nvs:NAMESPACE/KEY", the two of at most 15 characters each

    Nothing tells a blob's length, and a buffer that is too small is refused: it doubles.
    Raises OSError if there is no such blob, ImportError if this is no ESP32.
    """
    from esp32 import NVS

    namespace, key = name[4:].split("/")
    storage = NVS(namespace)
    size = 512
    while size <= limit:
        buffer = bytearray(size)
        try:
            return bytes(buffer[: storage.get_blob(key, buffer)])
        except OSError as error:
            if error.args[0] != _TOO_SHORT:
                raise
        size *= 2
    return None
