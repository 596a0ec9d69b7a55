"""The device's key, certificate chain and trusted roots, as DER.

key    SEC1 (EC) or PKCS#1 (RSA): the two encodings that every MicroPython release loads
cert   the leaf, then each issuer that the service needs, one after the other
roots  the roots that a server's certificate may lead to, one after the other

Sources: RFC 5915 (SEC1 EC keys), RFC 8017, A.1.2 (PKCS#1), X.690, 8.1 (DER lengths).
"""

from micropython import const

from microdps.errors import IdentityError

_SEQUENCE = const(0x30)
_INTEGER = const(0x02)
_OCTETS = const(0x04)

# More would be no key, chain or set of roots of a device, and not fit its memory.
_FILE = const(8192)

# The Certificate message of TLS 1.2 must fit Mbed TLS's output buffer: 7 + Σ(length + 3) bytes.
_CHAIN = const(4096)


def element(der: bytes, at: int, name: str, tag: int = _SEQUENCE):
    """The DER element at `at` → (where its content begins, where it ends).

    Raises IdentityError if the tag differs, or the length is not DER's or reaches past the end.
    """
    if at + 2 > len(der) or der[at] != tag:
        raise IdentityError("not-der", name)
    length = der[at + 1]
    at += 2
    if length > 0x7F:
        n = length - 0x80
        if not 1 <= n <= 2 or at + n > len(der):
            raise IdentityError("not-der", name)
        length = int.from_bytes(der[at : at + n], "big")
        at += n
        if length < (0x80, 0x100)[n - 1]:
            raise IdentityError("not-der", name)
    if at + length > len(der):
        raise IdentityError("not-der", name)
    return at, at + length


def split(der: bytes, name: str) -> list:
    """Split concatenated DER certificates → list of bytes, at least one."""
    certs: list[bytes] = []
    at = 0
    while at < len(der) or not certs:
        end = element(der, at, name)[1]
        certs.append(der[at:end])
        at = end
    return certs


def public_part(key: bytes, name: str) -> bytes:
    """What a key's certificate must contain: the EC point, or the RSA modulus."""
    at, end = element(key, 0, name)
    if end != len(key):
        raise IdentityError("not-der", name)
    at, version_end = element(key, at, name, _INTEGER)
    version = key[at:version_end]
    if version == b"\1":  # SEC1: the BIT STRING with the point, if it is there, comes last
        secret, end = element(key, version_end, name, _OCTETS)
        point = 2 * (end - secret)
        if key[-point - 2 : -point] != b"\0\4":
            raise IdentityError("no-public-key", name)
        return key[-point:]
    if version == b"\0" and key[version_end : version_end + 1] == b"\2":  # PKCS#1
        at, end = element(key, version_end, name, _INTEGER)
        return key[at:end]
    raise IdentityError("key-encoding", name)


class Identity:
    """Key, chain and roots, read when they are asked for: a board keeps them in TLS's memory only.

    read  a function that is handed what name() returned, and returns the part's bytes
    name  a function that is handed "key", "cert" or "roots" and returns where that part lies
    """

    def __init__(self, read, name):
        self._read = read
        self.name = name

    @classmethod
    def from_files(cls, folder: str):
        """The identity in a folder with key.der, cert.der and roots.der, checked.

        Raises IdentityError, which names the file.
        """
        return cls(_read_file, lambda part: "%s/%s.der" % (folder, part))._checked()

    @classmethod
    def from_nvs(cls, namespace: str):
        """The identity in the blobs key, cert and roots of a namespace of the ESP32's non-volatile
        storage, checked. esp-idf-nvs-partition-gen makes them with the encoding binary.

        Raises IdentityError, which names the blob.
        """
        return cls(_read_blob, lambda part: "nvs:%s/%s" % (namespace, part))._checked()

    def _checked(self):
        """All three parts are there, and the key is the leaf's."""
        name = self.name("key")
        if public_part(self.key(), name) not in self.chain()[0]:
            raise IdentityError("mismatch", name)
        self.roots()
        return self

    def key(self) -> bytes:
        return self._part("key")

    def chain(self) -> list:
        """The leaf, then its issuers. Raises IdentityError if that is more than TLS can send."""
        name = self.name("cert")
        chain = split(self._part("cert"), name)
        if 7 + sum(len(cert) + 3 for cert in chain) > _CHAIN:
            raise IdentityError("chain-limit", name)
        return chain

    def roots(self) -> list:
        return split(self._part("roots"), self.name("roots"))

    def _part(self, part: str) -> bytes:
        name = self.name(part)
        try:
            data = self._read(name)
        except OSError:
            raise IdentityError("missing", name)
        if data[:10] == b"-----BEGIN":
            raise IdentityError("pem", name)
        return data


def _read_file(name: str) -> bytes:
    with open(name, "rb") as file:
        size = file.seek(0, 2)
        if size > _FILE:
            raise IdentityError("file-limit", name)
        file.seek(0)
        return file.read(size)


def _read_blob(name: str) -> bytes:
    from microdps.board import read_blob

    data = read_blob(name[4:].split("/"), _FILE)
    if data is None:
        raise IdentityError("file-limit", name)
    return data
