"""check prints a line for each problem that would fail on a board."""

import datetime
import re

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from microdps_tools import FIRMWARE
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import device_files
from microdps_tools.certs.making import issue
from microdps_tools.device import app_memory
from microdps_tools.device.config import write_config, write_identity
from microdps_tools.files import write_files

NAME = "device-01"
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def make(tmp_path):
    """Write a device's folder → the folder. Without arguments, nothing is wrong with it."""
    root = issue("root", ca=True, days=3650)
    intermediate = issue("intermediate", root, ca=True, days=3650)
    (tmp_path / "intermediate.pem").write_bytes(encoding.pem(intermediate.cert))
    (tmp_path / "root.pem").write_bytes(encoding.pem(root.cert))

    def write(name=NAME, issuers=(intermediate.cert,), settings=(), **issued):
        folder = tmp_path / "device"
        pair = issue(name, intermediate, **issued)
        write_files(tmp_path / "made", device_files(pair, list(issuers)), force=True)
        write_identity(folder, tmp_path / "made", "azure")
        given = {"id_scope": "0ne00111111", "registration_id": NAME} | dict(settings)
        write_config(folder, given)
        return folder

    write.root = root.cert
    write.intermediate = tmp_path / "intermediate.pem"
    write.root_file = tmp_path / "root.pem"
    return write


def test_good_folder(command, make):
    folder = make()
    done = command("check", folder, "--enrolled", make.intermediate)
    assert (done.code, done.out) == (0, f"{folder}: a board can use this\n")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"name": "somebody-else"}, "common name is 'somebody-else', and the registration ID"),
        ({"usage": ExtendedKeyUsageOID.SERVER_AUTH}, "has no clientAuth"),
        ({"start": NOW + datetime.timedelta(days=2)}, "CN=device-01 becomes valid on"),
        ({"start": NOW - datetime.timedelta(days=40), "days": 30}, "CN=device-01 expired on"),
    ],
)
def test_certificate_that_dps_refuses(command, make, given, text):
    done = command("check", make(**given))
    assert done.code == 1
    (line,) = done.out.splitlines()
    assert line.startswith("error: ") and text in line


def test_notes_do_not_fail(command, make):
    done = command("check", make(key_type="rsa-2048", days=10))
    assert done.code == 0
    lines = done.out.splitlines()
    assert "an RSA key of 2048 bits costs a board seconds" in lines[0]
    assert "CN=device-01 expires on" in lines[1]
    assert all(line.startswith("note: ") for line in lines[:2])


def test_chain_in_the_wrong_order(command, make):
    done = command("check", make(issuers=(make.root,)))
    assert done.code == 1
    assert "is not signed by CN=root" in done.out


def test_chain_that_does_not_reach_the_enrolled_certificate(command, make):
    done = command("check", make(), "--enrolled", make.root_file)
    assert done.code == 1
    assert "DPS refuses that with 401002" in done.out


def test_advice_for_a_chain_that_is_too_short_can_be_followed(command, make, tmp_path):
    """The advice's own words are run: convert with --issuer, then config with --identity."""
    folder, made = make(), tmp_path / "made"
    advice = command("check", folder, "--enrolled", make.root_file).out
    convert, configure = re.findall("'microdps ((?:certs convert|config) [^']+)'", advice)
    names = {"full-chain.pem": made / "full-chain.pem", "key.pem": made / "key.pem"}
    names |= {"FOLDER": tmp_path / "longer"}
    assert command(*(names.get(word, word) for word in convert.split())).code == 0
    words = [names.get(word, word) for word in configure.split()]
    assert command(*words, "--out", folder).code == 0
    done = command("check", folder, "--enrolled", make.root_file)
    assert done.code == 0, done.out


def test_roots_that_are_not_azures(command, make):
    folder = make()
    (folder / "identity" / "a" / "roots.der").write_bytes(encoding.der(make.root))
    done = command("check", folder)
    assert done.code == 1
    assert "microdps config --roots azure" in done.out
    make(settings={"host": "localhost:8443"})
    (folder / "identity" / "a" / "roots.der").write_bytes(encoding.der(make.root))
    assert command("check", folder).code == 0


def test_missing_config_and_wrong_key(command, make):
    folder = make()
    (folder / "config.json").unlink()
    pair = issue("another")
    (folder / "identity" / "a" / "key.der").write_bytes(encoding.key_der(pair.key))
    done = command("check", folder)
    assert done.code == 1
    first, second = done.out.splitlines()
    assert "config.json" in first
    assert "the key is not the certificate's own" in second


def test_unreadable_extension_is_a_finding(command, make):
    path = make() / "identity" / "a" / "cert.der"
    usage = b"\x55\x1d\x25\x04\x0c\x30"  # extendedKeyUsage, and the SEQUENCE in it
    data = path.read_bytes()
    assert usage in data
    path.write_bytes(data.replace(usage, usage[:-1] + b"\x31", 1))
    done = command("check", path.parents[2])
    assert done.code == 1
    assert "the certificate's extensions cannot be read" in done.out


def test_board_needs_wifi_and_time_for_rsa(command, make):
    folder = make(key_type="rsa-4096")
    done = command("check", folder, "--board", "ESP32_GENERIC")
    assert done.code == 1
    assert "config.json has no wifi" in done.out
    wifi = {"wifi": {"ssid": "home", "password": "12345678"}}
    done = command("check", make(key_type="rsa-4096", settings=wifi), "--board", "ESP32_GENERIC")
    assert done.code == 0
    assert "an RSA key of 4096 bits costs up to 1.9 s on ESP32_GENERIC" in done.out
    assert "there is no board" in command("check", folder, "--board", "ESP8266").refusal


def test_code_that_a_board_has_no_room_for(command, make):
    folder = make(settings={"wifi": {"ssid": "home", "password": "12345678"}})
    (folder / "app.py").write_text("def read():\n    return {}\n")
    assert "KB of memory" not in command("check", folder, "--board", "ESP32_GENERIC").out
    lines = [f"def f{number}(x):\n    return x.a{number} + {number}\n" for number in range(300)]
    (folder / "driver.py").write_text("".join(lines))
    shown = command("check", folder, "--board", "ESP32_GENERIC").out
    assert "note: app.py and the modules beside it need about" in shown
    assert "ESP32_GENERIC has 12 KB for them" in shown
    shown = command("check", folder, "--board", "ESP32_GENERIC-SPIRAM").out
    assert "KB of memory" not in shown
    (folder / "driver.py").write_text("def f(:\n")
    done = command("check", folder, "--board", "ESP32_GENERIC")
    assert done.code == 1 and "driver.py does not compile" in done.out


def test_outbox_leaves_less_room_for_code(command, make):
    wifi = {"wifi": {"ssid": "home", "password": "12345678"}}
    lines = [f"def f{number}(x):\n    return x.a{number} + {number}\n" for number in range(90)]
    for outbox, warned in (("never", False), ("on-failure", True), ("always", True)):
        folder = make(settings=wifi | {"outbox": outbox})
        (folder / "app.py").write_text("".join(lines))
        shown = command("check", folder, "--board", "ESP32_GENERIC").out
        assert ("KB of memory" in shown) == warned, shown
        shown = command("check", folder, "--board", "ESP32_GENERIC-SPIRAM").out
        assert "KB of memory" not in shown


def test_host_and_messages_of_a_trial_are_named_for_a_board(command, make):
    wifi = {"wifi": {"ssid": "home", "password": "12345678"}}
    for host in ("localhost:8443", "127.0.0.1", "LOCALHOST"):
        folder = make(settings=wifi | {"host": host, "messages": 3})
        done = command("check", folder, "--board", "ESP32_GENERIC")
        assert done.code == 1
        assert f"error: host is {host!r}, which is the board itself" in done.out
        assert "note: messages is 3: the board sends so many and then stops" in done.out
        assert command("check", folder).code == 0
    folder = make(settings=wifi | {"host": "dps.example", "messages": 0})
    done = command("check", folder, "--board", "ESP32_GENERIC")
    assert (done.code, done.out) == (0, f"{folder}: a board can use this\n")


def test_unknown_key_is_a_note_as_a_board_ignores_it(command, make):
    path = make() / "config.json"
    path.write_text(path.read_text().replace("{", '{"colour": "red",'))
    done = command("check", path.parent)
    assert done.code == 0
    assert (
        done.out.startswith("note: ") and "config.json: colour: there is no such key" in done.out
    )


@pytest.mark.parametrize("scope", ["0ne0011111", "ne00111111", "0ne00111111x", "abc"])
def test_id_scope_of_another_form_is_a_note(command, make, scope):
    done = command("check", make(settings={"id_scope": scope}))
    assert done.code == 0
    assert done.out.startswith(f"note: the ID scope {scope!r} does not look like 0ne and eight")


def test_issuer_that_is_no_ca(command, make, tmp_path):
    root = issue("root", ca=True)
    issuer = issue("issuer", root)
    pair = issue(NAME, issuer)
    folder = make()
    write_files(tmp_path / "x", device_files(pair, [issuer.cert]))
    write_identity(folder, tmp_path / "x", None)
    done = command("check", folder)
    assert done.code == 1 and "'issuer' is not a CA's" in done.out


def test_device_certificate_that_is_a_cas(command, make):
    done = command("check", make(ca=True))
    assert done.code == 0
    assert "is a CA's, and a device needs one with CA:FALSE" in done.out


def test_expired_root(command, make):
    folder = make(settings={"host": "dps.example"})
    old = issue("old root", ca=True, start=NOW - datetime.timedelta(days=30), days=10)
    (folder / "identity" / "a" / "roots.der").write_bytes(encoding.der(old.cert))
    done = command("check", folder)
    assert done.code == 1 and "roots.der: CN=old root expired on" in done.out


def test_estimate_is_that_of_the_table_of_sizes():
    text = (FIRMWARE / "SIZES.md").read_text()
    flash, heap = re.search(r"\*\*register, poll, send\*\* \| (\d+) \| (\d+)", text).groups()
    assert abs(int(heap) / int(flash) - app_memory.HEAP_PER_BYTE) < 0.2
