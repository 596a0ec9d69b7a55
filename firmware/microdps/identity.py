"""The device's key, certificate chain and trusted roots, as DER.

key    SEC1 (EC) or PKCS#1 (RSA): the two encodings that every MicroPython release loads
cert   the leaf, then each issuer that the service needs, one after the other
roots  the roots that a server's certificate may lead to, one after the other

Sources: RFC 5915 (SEC1 EC keys), RFC 8017, A.1.2 (PKCS#1), X.690, 8.1 (DER lengths).
"""

from micropython import const

from microdps.errors import IdentityError

# More would be no key, chain or set of roots of a device, and not fit its memory.
_FILE = const(8192)

# The Certificate message of TLS 1.2 must fit Mbed TLS's output buffer: 7 + Σ(length + 3) bytes.
_CHAIN = const(4096)


def element(der: bytes, at: int, name: str, tag: int = 0x30):
    """The DER element at `at` → (where its content begins, where it ends).

    Raises IdentityError if the tag differs, or the length is not DER's or reaches past the end.
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
    if not 0 < n < 3 or begin + length > len(der) or der[at] != tag:
        raise IdentityError("not-der", name)
    return begin, begin + length


def split(der: bytes, name: str) -> list:
    """Split concatenated DER certificates → list of bytes, at least one. Raises IdentityError."""
    certs: list[bytes] = []
    at = 0
    while at < len(der) or not certs:
        end = element(der, at, name)[1]
        certs.append(der[at:end])
        at = end
    return certs


class Identity:
    """Key, chain and roots, read when they are asked for: a board keeps them in TLS's memory only.

    read   a function that is handed where a part lies, and returns its bytes
    place  where they lie, with %s for "key", "cert" or "roots"
    """

    def __init__(self, read, place: str):
        self._read = read
        self._place = place
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
        if public not in self.certs("cert")[0]:
            raise IdentityError("mismatch", name)
        self.certs("roots")

    @classmethod
    def from_files(cls, folder: str):
        """The identity in a folder with key.der, cert.der and roots.der, checked.

        Raises IdentityError, which names the file.
        """
        return cls(_read_file, folder + "/%s.der")

    @classmethod
    def from_nvs(cls, namespace: str):
        """The identity in the blobs key, cert and roots of a namespace of the ESP32's non-volatile
        storage, checked. esp-idf-nvs-partition-gen makes them with the encoding binary.

        Raises IdentityError, which names the blob.
        """
        from microdps.board import read_blob

        return cls(read_blob, "nvs:" + namespace + "/%s")

    def name(self, part: str) -> str:
        """Where a part lies."""
        return self._place % part

    def part(self, part: str) -> bytes:
        """The bytes of a part. Raises IdentityError if they are missing, too many, or PEM."""
        name = self.name(part)
        try:
            data = self._read(name, _FILE)
        except OSError:
            raise IdentityError("missing", name)
        if data is None:
            raise IdentityError("file-limit", name)
        if data[:10] == b"-----BEGIN":
            raise IdentityError("pem", name)
        return data

    def certs(self, part: str) -> list:
        """The certificates of a part: the leaf, then its issuers, of "cert"; those of "roots".

        At least one. Raises IdentityError, also if the chain is more than TLS can send.
        """
        data = self.part(part)
        certs = split(data, self.name(part))
        if part == "cert" and 7 + len(data) + 3 * len(certs) > _CHAIN:
            raise IdentityError("chain-limit", self.name(part))
        return certs


def _read_file(name: str, limit: int):
    with open(name, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        return file.read(size) if size <= limit else None
