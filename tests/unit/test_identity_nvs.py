"""The identity in the ESP32's non-volatile storage: a stand-in with the blobs' corners."""

import sys

from harness import raised
from microdps.errors import IdentityError
from microdps.identity import Identity
from test_identity import ISSUER, LEAF, ROOT, SEC1

BLOBS = {}


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
    blobs = {"key": SEC1, "cert": LEAF + ISSUER, "roots": ROOT}
    blobs.update(changed)
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
