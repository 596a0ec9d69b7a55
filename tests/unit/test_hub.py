"""Telemetry: the request of the how-to, the body, and both error bodies of IoT Hub."""

from harness import Peer, raised
from microdps.errors import ProtocolError, ServiceError
from microdps.protocol import Assignment, hub, service_error
from microdps.protocol.http import Connection
from microdps.protocol.service_error import failure
from microdps.provisioning import assign
from microdps.session import Session, encode

HUB = "MyExampleHub.azure-devices.net"
ACCEPTED = (
    b"HTTP/1.1 204 No Content\r\n"
    b"Content-Length: 0\r\n"
    b"Vary: Origin\r\n"
    b"Server: Microsoft-HTTPAPI/2.0\r\n"
    b"x-ms-request-id: aa58c075-20d9-4565-8058-de6dc8524f14\r\n"
    b"Date: Wed, 31 Aug 2022 18:34:44 GMT\r\n"
    b"\r\n"
)


def send(peer, data, device_id="my-x509-device"):
    peer.run(hub.send(Connection(), HUB, hub.path(device_id), encode(data), 5000))


def sent_by_session(peer):
    """Send through a session that tells each error at once."""
    session = Session(("dps", "0ne1", "d"), 5000, "https")
    session.patience_ms = 0
    assign(session, Assignment(HUB, "d", "assigned", "", None), True)
    peer.run(session.send(b"{}"))


def failed(answer):
    """The error that an answer becomes."""
    connection = Connection()
    Peer([answer]).run(hub.send(connection, HUB, hub.path("d"), b"{}", 5000))
    return failure(connection, HUB)


def refused(status, body, fields=b""):
    head = b"HTTP/1.1 %d X\r\n" % status + fields
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_how_tos_message():
    peer = Peer([ACCEPTED])
    send(peer, {"temperature": 30})
    assert peer.sent == [
        b"POST /devices/my-x509-device/messages/events?api-version=2020-03-13 HTTP/1.1\r\n"
        b"Host: MyExampleHub.azure-devices.net\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Encoding: utf-8\r\n"
        b"Content-Length: 19\r\n"
        b"\r\n"
        b'{"temperature": 30}'
    ]


def test_messages_share_a_connection():
    peer = Peer([ACCEPTED] * 10)
    connection = Connection()
    for i in range(10):
        peer.run(hub.send(connection, HUB, hub.path("d"), encode({"i": i}), 5000))
    assert len(peer.opened) == 1 and len(peer.sent) == 10


def test_what_becomes_of_data():
    for data, body in (
        ([1, "\u00b0C", None], '[1, "\u00b0C", null]'.encode()),
        ('{"a": "\u00b0C"}', '{"a": "\u00b0C"}'.encode()),
        (b'{"a":1}', b'{"a":1}'),
        (bytearray(b"{}"), b"{}"),
        (memoryview(b"{}"), b"{}"),
        (b"", b""),
    ):
        peer = Peer([ACCEPTED])
        send(peer, data)
        sent = peer.sent[0].split(b"\r\n\r\n", 1)
        if b"\\u" in sent[1]:  # CPython's json writes the degree sign as an escape
            sent[1] = sent[1].replace(b"\\u00b0", "\u00b0".encode())
            assert sent[1] == body
        else:
            assert sent[1] == body
            assert sent[0].endswith(b"Content-Length: %d" % len(body))


def test_device_id_cannot_leave_its_path_segment():
    peer = Peer([ACCEPTED])
    send(peer, b"{}", "a/b?c%d#e")
    assert peer.sent[0].startswith(b"POST /devices/a%2Fb%3Fc%25d%23e/messages/events?")


def test_older_hubs_error():
    # Azure/azure-iot-sdk-c#1789
    body = (
        b'{"Message":"ErrorCode:IotHubUnauthorizedAccess;Unauthorized",'
        b'"ExceptionMessage":"Tracking ID:58ab-G:3-TimeStamp:08/06/2018 22:33:10"}'
    )
    error = failed(refused(401, body))
    assert isinstance(error, ServiceError)
    assert error.args == ("IotHubUnauthorizedAccess", HUB)
    assert (error.status, error.error_code) == (401, "IotHubUnauthorizedAccess")
    assert (error.message, error.tracking_id) == ("Unauthorized", "58ab-G:3")


def test_newer_hubs_error():
    body = b'{"errorCode":403002,"message":"Quota","trackingId":"t-1","info":null}'
    error = failed(refused(403, body))
    assert error.args == (403002, HUB)
    assert (error.status, error.error_code) == (403, 403002)
    assert (error.message, error.tracking_id) == ("Quota", "t-1")


def test_error_with_fields_of_wrong_types_is_still_an_error():
    for body in (b'{"Message":5}', b'{"Message":"x"}', b'{"errorCode":[],"message":{}}', b"5"):
        error = failed(refused(500, body))
        assert isinstance(error, ServiceError), body
        assert error.status == 500
        assert str(error)


def test_what_a_hub_says_is_cut_and_printable():
    for given, code in (
        (b"401002", 401002), (b"true", None), (b"99", None), (b"1e6", None), (b"[1]", None),
        (b"1000000", None), (b'"NotFound"', "NotFound"), (b'"a\\n"', "a?"), (b'""', None),
        (b'"%s"' % (b"a" * 99), "a" * 64), (b"9" * 300, None),
    ):  # fmt: skip
        error = failed(refused(500, b'{"errorCode":%s}' % given))
        assert error.error_code == code, given
        assert error.args == (code or 500, HUB)
    body = b'{"errorCode":1,"message":"%s","trackingId":"\\u001b[31m%s"}' % (
        b"m" * 999,
        b"t" * 999,
    )
    error = failed(refused(500, body))
    assert error.message == "m" * 256
    assert error.tracking_id == "?[31m" + "t" * 123
    error = failed(refused(500, b"{}", b"x-ms-request-id: a\xffb\x1b\r\n"))
    assert error.tracking_id == "a?b?"
    error = failed(refused(500, b"[" * 3900))
    assert error.args == (500, HUB)


def test_only_success_is_success():
    for status in (200, 201, 204):
        sent_by_session(Peer([refused(status, b"")]))
    for status in (202, 206, 301, 400, 413, 429, 503):
        error = raised(sent_by_session, Peer([refused(status, b"")]))
        assert isinstance(error, ServiceError), status
        assert error.args == (status, HUB)
    # A session registers anew after this one (test_device).
    assert failed(refused(404, b"")).args == (404, HUB)


def test_answer_that_is_no_http():
    assert isinstance(raised(send, Peer([b"hello\r\n"]), {}), ProtocolError)


def test_brackets_of_an_answer_are_counted_outside_of_strings():
    text = b"[" * 40
    error = failed(refused(500, b'{"errorCode":503001,"message":"a\\"%s"}' % text))
    assert error.args == (503001, HUB)
    for before in (b"", b'"s":"a\\n\\"","y":[[]],'):
        for depth, read in ((15, True), (16, False)):
            body = b'{%s"errorCode":503001,"x":' % before + b"[" * depth + b"]" * depth + b"}"
            assert (failed(refused(500, body)).args[0] == 503001) == read, (before, depth)


def test_error_codes_are_numbers_of_three_to_six_digits_or_text():
    for given, code in (
        (99, None),
        (100, 100),
        (999_999, 999_999),
        (1_000_000, None),
        (-5, None),
        (1.5, None),
        (None, None),
        ("", None),
        ("IotHubNotFound", "IotHubNotFound"),
        ("x" * 70, "x" * 64),
    ):
        error = service_error.error(None, HUB, 400, given, "m", "t")
        assert error.error_code == code, given
        assert error.args == (code or 400, HUB)


def test_what_a_peer_says_is_cut():
    error = service_error.error("code", HUB, 400, 400004, "m" * 257, "t" * 129, 7)
    assert error.args == ("code", HUB)
    assert error.message == "m" * 256 and error.tracking_id == "t" * 128
    assert (error.status, error.error_code, error.retry_s) == (400, 400004, 7)
