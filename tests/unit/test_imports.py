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
    whole = "microdps." + name
    before = sys.modules.pop(whole, None)
    package = __import__(whole)
    assert getattr(package, name).__name__ == whole
    if before:  # the other tests know its classes
        sys.modules[whole] = before
        setattr(package, name, before)


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


def test_mqtt():
    imports("mqtt")


def test_transport():
    imports("transport")


def test_rollover():
    imports("rollover")


def test_url():
    imports("url")


def test_failure():
    imports("failure")


def test_aio():
    imports("aio")


def test_link():
    imports("link")


def test_client():
    imports("client")
