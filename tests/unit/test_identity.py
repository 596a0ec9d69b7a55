"""Key, chain and roots: split by their DER lengths, and checked before anything is sent.

The certificates are none: nothing here looks into one but for the key's public part.
"""

import io
import os

from harness import Random, raised
from microdps.errors import IdentityError
from microdps.identity import Identity, element, header

FOLDER = "identity-under-test"
POINT = bytes(range(64))
MODULUS = b"\0" + bytes(range(128, 256)) * 2


def der(tag, content):
    n = len(content)
    if n < 0x80:
        return bytes((tag, n)) + content
    if n < 0x100:
        return bytes((tag, 0x81, n)) + content
    return bytes((tag, 0x82, n >> 8, n & 255)) + content


# RFC 5915: SEQUENCE of version 1, the secret, [0] prime256v1, [1] BIT STRING of 04 and the point.
SEC1 = der(
    0x30,
    b"\x02\x01\x01"
    + der(4, b"\x55" * 32)
    + der(0xA0, b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")
    + der(0xA1, der(3, b"\0\4" + POINT)),
)
SEC1_WITHOUT_POINT = der(0x30, b"\x02\x01\x01" + der(4, b"\x55" * 32))
# RFC 8017, A.1.2: version 0, modulus, public exponent, …
PKCS1 = der(
    0x30, b"\x02\x01\x00" + der(2, MODULUS) + b"\x02\x03\x01\x00\x01" + der(2, b"\x11" * 99)
)
# RFC 5208: version 0, AlgorithmIdentifier, OCTET STRING
PKCS8 = der(0x30, b"\x02\x01\x00" + der(0x30, b"\x06\x01\x2a") + der(4, SEC1))

LEAF = der(0x30, b"leaf" + POINT + b"x" * 100)
RSA_LEAF = der(0x30, b"leaf" + MODULUS + b"x" * 100)
ISSUER = der(0x30, b"issuer" * 70)
ROOT = der(0x30, b"root" * 20)


def lay(key=SEC1, cert=LEAF + ISSUER, roots=ROOT):
    try:
        os.mkdir(FOLDER)
    except OSError:
        pass
    for name, content in (("key", key), ("cert", cert), ("roots", roots)):
        path = FOLDER + "/" + name + ".der"
        if content is None:
            try:
                os.remove(path)
            except OSError:
                pass
        else:
            with open(path, "wb") as file:
                file.write(content)


def clear():
    lay(None, None, None)
    os.rmdir(FOLDER)


def load(**parts):
    lay(**parts)
    try:
        identity = Identity.from_files(FOLDER)
        return identity.part("key"), list(identity.certs("cert")), list(identity.certs("roots"))
    finally:
        clear()


def test_chain_and_roots_are_split():
    assert load(roots=ROOT + ISSUER) == (SEC1, [LEAF, ISSUER], [ROOT, ISSUER])
    assert load(key=PKCS1, cert=RSA_LEAF) == (PKCS1, [RSA_LEAF], [ROOT])


def test_each_missing_file_is_named():
    for part in ("key", "cert", "roots"):
        error = raised(lambda part=part: load(**{part: None}))
        assert isinstance(error, IdentityError)
        assert error.args == ("missing", FOLDER + "/" + part + ".der")
        assert part + ".der" in str(error)


def test_what_is_no_der():
    for part in ("key", "cert", "roots"):
        for content, code in (
            (b"", "not-der"),
            (b"-----BEGIN CERTIFICATE-----\nMIIB", "pem"),
            (b"hello", "not-der"),
            (b"\x30", "not-der"),
            (b"\x30\x80\0\0", "not-der"),
            (b"\x30\x05abcd", "not-der"),
            (b"\x30\x81\x05abcde", "not-der"),
            (b"\x30\x83\0\0\x01a", "not-der"),
            (ROOT + b"\0", "not-der"),
            (b"\x30" * 9000, "file-limit"),
        ):
            error = raised(lambda part=part, content=content: load(**{part: content}))
            assert isinstance(error, IdentityError), (part, content)
            assert error.args == (code, FOLDER + "/" + part + ".der"), (part, content, error.args)


def test_key_of_another_certificate():
    error = raised(lambda: load(cert=ISSUER + LEAF))
    assert error.args == ("mismatch", FOLDER + "/key.der")
    error = raised(lambda: load(cert=RSA_LEAF))
    assert error.args == ("mismatch", FOLDER + "/key.der")


def test_keys_that_the_device_cannot_use():
    for key, code in (
        (PKCS8, "key-encoding"),
        (der(0x30, b"\x02\x01\x02" + SEC1), "key-encoding"),
        (SEC1 + b"\0", "not-der"),
        (PKCS1 + PKCS1, "not-der"),
    ):
        assert raised(lambda key=key: load(key=key)).args == (code, FOLDER + "/key.der")


def test_key_without_its_public_part_cannot_be_the_leafs():
    error = raised(lambda: load(key=SEC1_WITHOUT_POINT))
    assert error.args == ("mismatch", FOLDER + "/key.der")


def test_chain_that_tls_cannot_send():
    # 7 + Σ(length + 3) may be 4096 at most.
    filler = der(0x30, b"x" * (4096 - 7 - 3 - 4 - len(LEAF) - 3))
    assert load(cert=LEAF + filler)[1] == [LEAF, filler]
    filler = der(0x30, b"x" * (4096 - 7 - 3 - 4 - len(LEAF) - 2))
    error = raised(lambda: load(cert=LEAF + filler))
    assert error.args == ("chain-limit", FOLDER + "/cert.der")


def test_largest_file():
    for size, right in ((8192, True), (8193, False)):
        roots = der(0x30, b"x" * 7000)
        roots += der(0x30, b"x" * (size - len(roots) - 4))
        assert len(roots) == size
        if right:
            assert len(load(roots=roots)[2]) == 2
        else:
            assert raised(lambda roots=roots: load(roots=roots)).args[0] == "file-limit"


def of(key=SEC1, cert=LEAF + ISSUER, roots=ROOT):
    """An identity of these bytes."""
    parts = {"key": key, "cert": cert, "roots": roots}
    return Identity(lambda name: io.BytesIO(parts[name]), "%s")


def test_each_byte_of_the_public_part_counts():
    """Of an EC key the last 32 bytes, of an RSA key 64 of the modulus."""
    modulus = b"\0\x80" + Random(5).bytes(255)
    rsa = der(0x30, b"\2\1\0" + der(2, modulus) + b"\2\3\1\0\1")
    for key, public, first, end in ((SEC1, POINT, 32, 64), (rsa, modulus, 5, 69)):
        of(key, der(0x30, b"leaf" + public))
        for at in range(first, end):
            other = bytearray(public)
            other[at] ^= 1
            error = raised(of, key, der(0x30, b"leaf" + bytes(other)))
            assert error.args == ("mismatch", "key"), at


def test_every_truncation_is_an_error():
    for at in range(len(SEC1)):
        assert raised(of, SEC1[:at]).args == ("not-der", "key"), at
    for at in range(len(LEAF + ISSUER)):
        if at != len(LEAF):
            assert raised(of, SEC1, (LEAF + ISSUER)[:at]).args == ("not-der", "cert"), at


def test_lengths_of_der():
    for n in (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF):
        whole = der(0x30, b"x" * n)
        assert element(b"??" + whole + b"?", 2, "x") == (2 + len(whole) - n, 2 + len(whole)), n
        assert raised(element, whole[:-1], 0, "x").args == ("not-der", "x"), n
        assert raised(element, whole, 0, "x", 0x02).args == ("not-der", "x"), n
    for long in (
        b"\x81\x7f",
        b"\x82\0\xff",
        b"\x82\0\0",
        b"\x83\0\1\0",
        b"\x83\1\0\0",
        b"\x80",
        b"\xff",
    ):
        assert raised(element, b"\x30" + long + b"x" * 300, 0, "x").args == ("not-der", "x"), long


def test_length_of_three_bytes_is_none():
    assert header(b"\x30\x82\xff\xff", 0, "x") == (4, 0xFFFF + 4)
    for long in (b"\x83\x01\0\0", b"\x84\x01\0\0\0"):
        assert raised(header, b"\x30" + long, 0, "x").args == ("not-der", "x"), long


def test_random_bytes_end_in_a_result_or_an_error_of_ours():
    random = Random(2)
    for _ in range(500):
        data = bytearray(random.bytes(random.below(80)) if random.below(2) else SEC1)
        for _ in range(random.below(6)):
            if data:
                data[random.below(len(data))] = random.below(256)
        data = bytes(data)
        for function in (of, lambda data: of(SEC1, data), lambda data: element(data, 0, "x")):
            try:
                function(data)
            except IdentityError:
                pass
