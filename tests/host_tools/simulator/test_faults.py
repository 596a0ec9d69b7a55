"""Faults on request: how they are written, and their effects on a client."""

import datetime
import email.utils
import random
import re
import socket
import ssl
import time

import pytest
import requests

from helpers.by_hand import TIMEOUT_S, enrolled_device
from microdps_tools.simulator.faults import CERTIFICATES, KINDS, Faults, parse
from microdps_tools.simulator.process import running_simulator


@pytest.fixture
def device(simulator, request):
    """A device of the enrolled group, provisioned."""
    name = f"fault-{re.sub('[^a-z0-9]+', '-', request.node.name.lower())[-50:]}-0"
    device = enrolled_device(simulator, name)
    device.provision()
    return device


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "begins with dps, hub or all"),
        ("status=503", "begins with"),
        ("nobody:status=503", "begins with"),
        ("hub:explode", "'explode' is not a fault"),
        ("hub:status", "takes a value"),
        ("hub:never=1", "takes no value"),
        ("hub:status=200", "from 300 to 599"),
        ("hub:status=abc", "from 300 to 599"),
        ("hub:drop=-1", "a whole number from 0"),
        ("hub:split=0", "a whole number from 1"),
        ("hub:slow=1.5", "a whole number from 0"),
        ("hub:skew=x", "a whole number"),
        ("hub:certificate=green", "expired, unknown, host"),
        ("hub:redirect=a b", "not a URL"),
        ("hub:drop=1,often", "not an option of drop"),
        ("hub:drop=1,code=5", "not an option of drop"),
        ("hub:drop=1,times=x", "times is a whole number"),
        ("hub:drop=1,chance=2", "chance is from 0 to 1"),
        ("hub:drop=1,chance=nan", "chance is from 0 to 1"),
    ],
)
def test_bad_fault_says_why(text, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        parse(text)


def test_every_kind_has_a_help_text_and_can_be_parsed():
    values = {"certificate": "expired", "redirect": "https://x", "status": "503"}
    for kind, (value, text) in KINDS.items():
        assert text
        given = f"={values.get(kind, '5')}" if value else ""
        assert parse(f"all:{kind}{given}").kind == kind


def triggered(faults, count=10, service="hub", path="/x") -> str:
    return "".join("x" if faults.trigger(service, path) else "." for _ in range(count))


def test_times_skip_and_path():
    faults = Faults()
    faults.add("hub:status=503,times=2,skip=3,path=/x")
    assert triggered(faults, path="/y") == "." * 10
    assert triggered(faults, service="dps") == "." * 10
    assert triggered(faults) == "...xx....."
    assert faults.status() == [{"fault": "hub:status=503,times=2,skip=3,path=/x", "times": 2}]
    faults.clear()
    assert faults.status() == []


def test_same_seed_gives_the_same_faults():
    seen = set()
    for seed in (1, 1, 2):
        faults = Faults(seed)
        faults.add("all:drop=0,chance=0.5")
        seen.add(triggered(faults, 100))
    assert len(seen) == 2
    assert all(30 < one.count("x") < 70 for one in seen)


def test_random_text_is_a_fault_or_an_error():
    source = random.Random(7)  # noqa: S311  reproducible
    pieces = [":", "=", ",", "status", "503", "drop", "-1", "times", "é", "\0", " "]
    valid = 0
    for _ in range(20_000):
        start = source.choice(["", "hub:", "hub:drop=", "all:never,"])
        text = start + "".join(source.choices(pieces, k=source.randint(0, 5)))
        try:
            valid += parse(text).text == text
        except ValueError as error:
            assert repr(text) in str(error)  # noqa: PT017
    assert valid > 5


def test_error_status_with_code_and_retry_after(simulator, device):
    with simulator.faults("hub:status=503,code=503001,retry-after=7,times=2") as times:
        for _ in range(2):
            answer = device.send()
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
            assert answer.headers["iothub-errorcode"] == "ServiceUnavailable"
        assert device.send().status_code == 204
        assert times() == [2]
    assert len(device.messages()) == 1


def test_redirect(simulator, device):
    with simulator.faults("hub:redirect=https://elsewhere/x,times=1"):
        answer = device.send(allow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "https://elsewhere/x")


def test_slow(simulator, device):
    with simulator.faults("hub:slow=400,times=1"):
        start = time.monotonic()
        assert device.send().status_code == 204
    assert time.monotonic() - start >= 0.4


def raw(device, host) -> ssl.SSLSocket:
    """Send a request for a missing path → the connection, to read the answer from."""
    context = ssl.create_default_context(cafile=device.simulator.root)
    context.load_cert_chain(*device.cert)
    name, port = host.rsplit(":", 1)
    connection = socket.create_connection((name, int(port)), TIMEOUT_S)
    sock = context.wrap_socket(connection, server_hostname=name, suppress_ragged_eofs=False)
    sock.sendall(b"GET /nowhere HTTP/1.1\r\nHost: " + host.encode() + b"\r\n\r\n")
    return sock


def read_all(sock) -> tuple[list[bytes], bool]:
    """All records until the end; and whether the end was TLS's own."""
    pieces = []
    while True:
        try:
            piece = sock.recv(16384)
        except ssl.SSLEOFError:
            return pieces, False
        if not piece:
            return pieces, True
        pieces.append(piece)


def test_drop_breaks_off_after_a_number_of_bytes(simulator, device):
    for size in (0, 1, 57):
        with simulator.faults(f"hub:drop={size}"), raw(device, simulator.hub) as sock:
            pieces, clean = read_all(sock)
            assert (len(b"".join(pieces)), clean) == (size, False)


def test_split_sends_pieces_of_a_size(simulator, device):
    with simulator.faults("dps:split=3,every=1"), raw(device, simulator.dps) as sock:
        data = pieces = b""
        counts = []
        while not data.endswith(b"0\r\n\r\n"):
            pieces = sock.recv(16384)
            counts.append(len(pieces))
            data += pieces
    assert set(counts[:-1]) == {3}
    assert data.startswith(b"HTTP/1.1 404 ")


def test_next_answer_on_a_kept_connection_is_whole(simulator, device):
    with requests.Session() as session:
        session.cert = device.cert
        with simulator.faults("hub:split=1,times=1"):
            for _ in range(3):
                answer = session.get(
                    f"https://{simulator.hub}/nowhere",
                    verify=str(simulator.root),
                    timeout=TIMEOUT_S,
                )
                assert answer.status_code == 404
                assert answer.json()["Message"].startswith("ErrorCode:ResourceNotFound")


@pytest.mark.parametrize("which", CERTIFICATES)
def test_wrong_server_certificate(simulator, device, which):
    texts = {"expired": "has expired", "unknown": "self-signed|unable to get", "host": "mismatch"}
    with (
        simulator.faults(f"dps:certificate={which}"),
        pytest.raises(requests.exceptions.SSLError, match=texts[which]),
    ):
        device.provision()
    device.provision()


def test_clock_skew_changes_the_date_and_the_validity_of_certificates(simulator, device):
    with simulator.faults("all:skew=7200"):
        answer = device.send()
        assert answer.status_code == 204
        date = email.utils.parsedate_to_datetime(answer.headers["date"])
        off = date - datetime.datetime.now(datetime.UTC)
        assert datetime.timedelta(minutes=119) < off < datetime.timedelta(minutes=121)
    with simulator.faults("hub:skew=-864000"):
        assert device.send().status_code == 401


def test_never_assigned_and_failed(simulator, device):
    with simulator.faults("dps:never"):
        assert device.provision()["status"] == "assigning"
    with simulator.faults("dps:failed=400207"):
        failed = device.provision()
        assert failed["status"] == failed["registrationState"]["status"] == "failed"
        assert failed["registrationState"]["errorCode"] == 400207
    assert device.provision()["status"] == "assigned"


def test_faults_from_the_command_line(tmp_path):
    with (
        running_simulator(tmp_path / "state", "--fault=dps:status=500", "--seed=3") as at,
        pytest.raises(requests.HTTPError, match="500"),
    ):
        requests.get(
            f"https://{at['dps']}/", verify=at["root"], timeout=TIMEOUT_S
        ).raise_for_status()
