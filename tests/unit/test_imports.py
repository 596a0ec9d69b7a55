"""Every module of the package can be imported on its own."""

import sys

from harness import Skip

NEEDS = {name: ("tls", "socket", "select") for name in ("link", "client", "aio")}


def imports(name):
    for needed in NEEDS.get(name, ()):
        try:
            __import__(needed)
        except ImportError:
            raise Skip("this MicroPython has no module " + needed)
    sys.modules.pop("microdps." + name, None)
    module = __import__("microdps." + name)
    assert getattr(module, name).__name__ == "microdps." + name


def test_errors():
    imports("errors")


def test_http():
    imports("http")


def test_service():
    imports("service")


def test_dps():
    imports("dps")


def test_hub():
    imports("hub")


def test_identity():
    imports("identity")


def test_config():
    imports("config")


def test_device():
    imports("device")


def test_advice():
    imports("advice")


def test_board():
    imports("board")


def test_backoff():
    imports("backoff")


def test_state():
    imports("state")


def test_properties():
    imports("properties")


def test_journal():
    imports("journal")


def test_certificate():
    imports("certificate")


def test_status():
    imports("status")


def test_aio():
    imports("aio")


def test_link():
    imports("link")


def test_client():
    imports("client")
