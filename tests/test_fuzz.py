"""For any bytes, the device's parsers return a result or raise an error of ours."""

import io
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import CLOSED, Peer
from microdps import certificate, identity, state
from microdps.errors import Error
from microdps.program import config
from microdps.protocol import dps
from microdps.protocol.http import Connection

FUZZ = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

LINES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.0 204 No Content",
        b"HTTP/1.1 307 Away",
        b"Content-Length: 5",
        b"Content-Length: 5000",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"Location: /x",
        b" folded",
        b"5",
        b"hello",
        b"0",
        b"",
        b"ffffffff;x=y",
        b"\x00",
        b"no colon",
    ]
)
ANSWERS = st.one_of(
    st.binary(max_size=600),
    st.lists(LINES, max_size=14).map(lambda lines: b"\r\n".join([*lines, b""])),
    st.lists(LINES | st.binary(max_size=30), max_size=14).map(b"\n".join),
)

# JSON that is similar to a service's answers.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=6,
)


@FUZZ
@given(answer=ANSWERS, piece=st.integers(1, 700), method=st.sampled_from(["GET", "HEAD", "POST"]))
def test_answers(answer, piece, method):
    peer = Peer(*([[answer, CLOSED] if answer else [CLOSED]] * 14), piece=piece)
    connection = Connection(512)
    try:
        peer.run(connection.request(method, "peer", "/", b"", None, 5000))
    except Error:
        return
    assert 0 <= connection.end - connection.head_end <= 512
    assert 200 <= connection.status <= 999


@FUZZ
@given(
    body=st.fixed_dictionaries(
        {},
        optional={
            "status": st.sampled_from(["assigned", "assigning", "failed", "disabled"]) | VALUES,
            "operationId": st.text(max_size=300) | VALUES,
            "registrationState": st.fixed_dictionaries(
                {},
                optional={
                    "assignedHub": st.just("hub.example") | VALUES,
                    "deviceId": st.just("device") | VALUES,
                    "substatus": VALUES,
                    "errorCode": VALUES,
                    "errorMessage": VALUES,
                },
            )
            | VALUES,
        },
    )
    | VALUES,
    status=st.sampled_from([200, 202, 400, 401, 429, 500]),
)
def test_answers_of_dps(body, status):
    text = json.dumps(body).encode()
    answer = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text)
    peer = Peer([answer] * 40)
    try:
        assignment = peer.run(dps.register(Connection(8192), "dps", "0ne1", "device", 20_000))
    except Error as error:
        assert str(error)
        return
    assert isinstance(assignment.hub, str)
    assert isinstance(assignment.device_id, str)


@FUZZ
@given(data=st.binary(max_size=200))
def test_der(data):
    for parse in (
        lambda: identity.Identity(lambda name: io.BytesIO(data), "%s"),
        lambda: list(identity.split(io.BytesIO(data), "file")),
        lambda: identity.element(data, 0, "file"),
        lambda: certificate.validity(data, "file"),
    ):
        try:
            parse()
        except Error:
            pass


@FUZZ
@given(data=st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_config_file(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz-config.json"
    path.write_bytes(data)
    try:
        config.load(str(path))
    except Error as error:
        assert str(path) in str(error)


@FUZZ
@given(data=st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_state_file(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz-state.json"
    path.write_bytes(state._crc(data) + b" " + data)
    try:
        assert isinstance(state.load(str(path), "owner"), dict)
    except Error as error:
        assert error.args[1] == str(path)
