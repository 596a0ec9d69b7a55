"""The identity in the ESP32's non-volatile storage: a stand-in with the blobs' corners."""

import sys

from harness import raised
from microdps import rollover
from microdps.errors import IdentityError
from microdps.identity import Identity
from test_identity import ISSUER, LEAF, ROOT, SEC1

BLOBS = {}
WHOLE = {"key": SEC1, "cert": LEAF + ISSUER, "roots": ROOT}


class NVS:
    """esp32.NVS, as far as reading goes (ports/esp32/esp32_nvs.c)."""

    def __init__(self, namespace):
        if namespace not in BLOBS:
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")
        self._blobs = BLOBS[namespace]

    def get_blob(self, key, buffer):
        if key not in self._blobs:
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")
        blob = self._blobs[key]
        if len(blob) > len(buffer):
            raise OSError(-0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(blob)] = blob
        return len(blob)


class Module:
    NVS = NVS


def on_a_board(blobs, function, *arguments):
    """Call a function where the ESP32's NVS has these blobs in the namespace microdps."""
    BLOBS["microdps"] = blobs
    before = sys.modules.get("esp32")
    sys.modules["esp32"] = Module
    try:
        return function(*arguments)
    finally:
        if before:
            sys.modules["esp32"] = before
        else:
            del sys.modules["esp32"]
        del BLOBS["microdps"]


def read():
    identity = Identity.from_nvs("microdps")
    return identity.part("key"), list(identity.certs("cert")), list(identity.certs("roots"))


def load(**changed):
    blobs = dict(WHOLE, **changed)
    return on_a_board({key: blob for key, blob in blobs.items() if blob is not None}, read)


def test_blobs_are_read_whole():
    assert load() == (SEC1, [LEAF, ISSUER], [ROOT])


def test_large_blob_is_read_too():
    assert load(roots=ROOT * 60)[2] == [ROOT] * 60


def test_missing_blob_is_named():
    for part in ("key", "cert", "roots"):
        error = raised(lambda part=part: load(**{part: None}))
        assert isinstance(error, IdentityError)
        assert error.args == ("missing", "nvs:microdps/" + part)


def test_missing_namespace_is_an_error_of_ours():
    sys.modules["esp32"] = Module
    try:
        error = raised(Identity.from_nvs, "elsewhere")
    finally:
        del sys.modules["esp32"]
    assert error.args == ("missing", "nvs:elsewhere/key")


def test_blob_over_the_limit():
    assert raised(lambda: load(roots=ROOT * 120)).args == ("file-limit", "nvs:microdps/roots")


def test_slot_without_files_is_read_from_its_namespace():
    assert on_a_board(WHOLE, rollover.load, "a").name("key") == "nvs:microdps/key"
    error = raised(rollover.load, "a")
    assert error.args == ("missing", "identity/a/key.der")
    error = raised(on_a_board, {}, rollover.load, "a")
    assert error.args == ("missing", "identity/a/key.der")


class Tls:
    """The module tls, whose context refuses what a test says."""

    PROTOCOL_TLS_CLIENT = 0
    CERT_REQUIRED = 2
    refuses = ("", "")

    class SSLContext:
        def __init__(self, protocol):
            self.loaded = []

        def load_cert_chain(self, cert, key):
            self.load("cert", cert)

        def load_verify_locations(self, root):
            self.load("root", root)

        def load(self, kind, der):
            self.loaded.append((kind, der))
            if Tls.refuses[0] == kind:
                raise ValueError(Tls.refuses[1])


def test_part_that_tls_refuses_is_named():
    before = sys.modules.get("tls")
    sys.modules["tls"] = Tls
    try:
        identity = on_a_board(WHOLE, Identity.from_nvs, "microdps")
        context = on_a_board(WHOLE, identity.context)
        assert context.loaded == [("cert", LEAF), ("cert", ISSUER), ("root", ROOT)]
        assert context.verify_mode == 2
        for kind, text, part in (
            ("cert", "invalid key", "key"),
            ("cert", "invalid cert", "cert"),
            ("root", "invalid cert", "roots"),
        ):
            Tls.refuses = kind, text
            error = raised(on_a_board, WHOLE, identity.context)
            assert error.args == ("unreadable", "nvs:microdps/" + part), kind
    finally:
        Tls.refuses = ("", "")
        if before is None:
            del sys.modules["tls"]
        else:
            sys.modules["tls"] = before
