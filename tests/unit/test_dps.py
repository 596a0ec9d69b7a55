"""Registration: the requests of the how-to, its answers, and all that can come instead."""

import json

from harness import CLOSED, Peer, raised
from microdps.errors import LinkError, ProtocolError, ServiceError
from microdps.protocol import dps
from microdps.protocol.http import Connection

HOST = "global.azure-devices-provisioning.net"
OPERATION = "5.506603669bd3e2bf.b3602f8f-76fe-4341-9214-bb6cfb891b8a"

# The answers of the how-to "Use X.509 certificates over HTTPS without an SDK" (2025-08-12).
ACCEPTED = (
    b"HTTP/1.1 202 Accepted\r\n"
    b"Date: Sat, 27 Aug 2022 17:53:18 GMT\r\n"
    b"Content-Type: application/json; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"Location: https://global.azure-devices-provisioning.net/0ne00111111/registrations/"
    b"my-x509-device/register\r\n"
    b"Retry-After: 3\r\n"
    b"x-ms-request-id: 05cdec07-c0c7-48f3-b3cd-30cfe27cbe57\r\n"
    b"Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
    b"\r\n"
    b"5e\r\n"
    b'{"operationId":"5.506603669bd3e2bf.b3602f8f-76fe-4341-9214-bb6cfb891b8a",'
    b'"status":"assigning"}\r\n'
    b"0\r\n"
    b"\r\n"
)
ASSIGNED = {
    "operationId": OPERATION,
    "status": "assigned",
    "registrationState": {
        "x509": {},
        "registrationId": "my-x509-device",
        "createdDateTimeUtc": "2022-08-27T17:53:19.5143497Z",
        "assignedHub": "MyExampleHub.azure-devices.net",
        "deviceId": "my-x509-device",
        "status": "assigned",
        "substatus": "initialAssignment",
        "lastUpdatedDateTimeUtc": "2022-08-27T17:53:19.7519141Z",
        "etag": "IjEyMDA4NmYyLTAwMDAtMDMwMC0wMDAwLTYzMGE1YTBmMDAwMCI=",
    },
}

# Error bodies: (HTTP status, body, code, errorCode, message, tracking ID)
ERRORS = (
    (  # microsoft/vscode-iot-workbench#590
        401,
        b'{"errorCode":401002,"trackingId":"8ad0463c-427f","message":"Invalid certificate.",'
        b'"timestampUtc":"2020-04-10T05:24:22.4718526Z"}',
        401002,
        401002,
        "Invalid certificate.",
        "8ad0463c-427f",
    ),
    (404, b'{"errorCode":404201,"trackingId":"t","message":"m"}', 404201, 404201, "m", "t"),
    (409, b'{"errorCode":409203,"message":"Precondition failed."}', 409203, 409203, None, None),
    (400, b'{"errorCode":400004,"info":{"a":"b"}}', 400004, 400004, "", None),
    (429, b"", 429, None, "", None),
    (500, b"<html>Internal Server Error</html>", 500, None, "", None),
    (503, b"[]", 503, None, "", None),
    (302, b"", 302, None, "", None),
)


def answer(status, body, fields=b""):
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    head = b"HTTP/1.1 %d X\r\nx-ms-request-id: from-header\r\n" % status
    return head + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


def state(overall, **fields):
    return {"operationId": OPERATION, "status": overall, "registrationState": fields}


def register(peer, timeout_ms=60_000):
    return peer.run(dps.register(Connection(), HOST, "0ne00111111", "my-x509-device", timeout_ms))


def test_how_tos_conversation():
    peer = Peer([ACCEPTED, answer(200, ASSIGNED)])
    assignment = register(peer)
    assert assignment.hub == "MyExampleHub.azure-devices.net"
    assert assignment.device_id == "my-x509-device"
    assert assignment.status == "assigned"
    assert assignment.substatus == "initialAssignment"
    assert peer.opened == [HOST]
    assert peer.slept == [3000]
    assert peer.sent == [
        b"PUT /0ne00111111/registrations/my-x509-device/register?api-version=2021-06-01"
        b" HTTP/1.1\r\n"
        b"Host: global.azure-devices-provisioning.net\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Encoding: utf-8\r\n"
        b"Content-Length: 36\r\n"
        b"\r\n"
        b'{"registrationId": "my-x509-device"}',
        b"GET /0ne00111111/registrations/my-x509-device/operations/"
        b"5.506603669bd3e2bf.b3602f8f-76fe-4341-9214-bb6cfb891b8a?api-version=2021-06-01"
        b" HTTP/1.1\r\n"
        b"Host: global.azure-devices-provisioning.net\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Encoding: utf-8\r\n"
        b"\r\n",
    ]


def test_assigned_at_once_needs_no_poll():
    peer = Peer([answer(200, ASSIGNED)])
    assert register(peer).device_id == "my-x509-device"
    assert peer.slept == []


def test_polls_through_unassigned_and_assigning():
    waiting = [
        answer(202, state("unassigned"), b"Retry-After: 4\r\n"),
        answer(202, state("assigning", registrationId="x", status="assigning")),
        answer(202, state("assigning"), b"Retry-After: 5\r\n"),
    ]
    peer = Peer([ACCEPTED] + waiting + [answer(200, ASSIGNED)])
    register(peer)
    assert peer.slept == [3000, 4000, 2200, 5000]


def test_never_more_than_five_polls_in_ten_seconds():
    for field in (b"", b"Retry-After: 0\r\n", b"Retry-After: 1\r\n", b"Retry-After: x\r\n"):
        waiting = [answer(202, state("assigning"), field) for _ in range(12)]
        peer = Peer([ACCEPTED] + waiting + [answer(200, ASSIGNED)])
        register(peer)
        polls = peer.sent_at[1:]
        assert len(polls) == 13
        for first in range(len(polls) - 5):
            assert polls[first + 5] - polls[first] > 10_000, field


def test_deadline_ends_the_polling():
    waiting = [answer(202, state("assigning"), b"Retry-After: 3\r\n") for _ in range(30)]
    peer = Peer([ACCEPTED] + waiting)
    error = raised(register, peer, 20_000)
    assert isinstance(error, ServiceError)
    assert error.args == ("deadline", HOST)
    assert error.message == "assigning"
    assert peer.now <= 1000 + 20_000


def test_no_poll_is_waited_for_that_could_not_be_answered():
    peer = Peer([answer(202, state("assigning"), b"Retry-After: 3600\r\n")])
    assert raised(register, peer, 30_000).args == ("deadline", HOST)
    assert peer.slept == []
    for timeout_ms, polled in ((2999, False), (3000, False), (3001, True)):
        peer = Peer([ACCEPTED, answer(200, ASSIGNED)])
        if polled:
            assert register(peer, timeout_ms).device_id == "my-x509-device"
        else:
            assert raised(register, peer, timeout_ms).args == ("deadline", HOST)
        assert len(peer.sent) == 1 + polled


def test_failed_is_final_and_says_why():
    # azure-sdk-for-c, test_az_iot_provisioning_client_parser.c
    failed = state(
        "failed",
        registrationId="myRegistrationId",
        status="failed",
        errorCode=400207,
        errorMessage="Custom allocation failed with status code: 400",
    )
    peer = Peer([ACCEPTED, answer(200, failed)])
    error = raised(register, peer)
    assert isinstance(error, ServiceError)
    assert error.args == ("failed", HOST)
    assert (error.status, error.error_code) == (200, 400207)
    assert error.message == "Custom allocation failed with status code: 400"


def test_disabled_is_final_and_may_lack_an_operation():
    body = {"operationId": "", "status": "disabled", "registrationState": {"status": "disabled"}}
    error = raised(register, Peer([answer(200, body)]))
    assert isinstance(error, ServiceError)
    assert error.args == ("disabled", HOST)
    assert error.status == 200


def test_error_bodies_become_errors():
    for status, body, code, error_code, message, tracking in ERRORS:
        for before in ([], [ACCEPTED]):
            error = raised(register, Peer(before + [answer(status, body)]))
            assert isinstance(error, ServiceError), body
            assert error.args == (code, HOST), body
            assert error.status == status
            assert error.error_code == error_code
            assert message is None or error.message == message
            assert error.tracking_id == (tracking or "from-header")


def test_answers_that_make_no_sense():
    good = ASSIGNED["registrationState"]
    for body in (
        b"",
        b"{",
        b"[]",
        b'"assigned"',
        b"null",
        b"{}",
        b"[" * 900,
        {"status": 5},
        {"status": "assigning"},
        {"status": "assigning", "operationId": ""},
        {"status": "assigning", "operationId": 7},
        {"status": "assigning", "operationId": "x" * 300},
        {"status": "blacklisted", "operationId": "x"},
        {"status": "assigned"},
        {"status": "assigned", "registrationState": []},
        {"status": "assigned", "registrationState": {"assignedHub": "hub"}},
        {"status": "assigned", "registrationState": dict(good, deviceId="")},
        {"status": "assigned", "registrationState": dict(good, deviceId=None)},
        {"status": "assigned", "registrationState": dict(good, assignedHub="")},
        {"status": "assigned", "registrationState": dict(good, assignedHub="a b")},
        {"status": "assigned", "registrationState": dict(good, assignedHub="x\r\nY: z")},
        {"status": "assigned", "registrationState": dict(good, assignedHub="x" * 254)},
        {"status": "assigned", "registrationState": dict(good, deviceId="x" * 129)},
        {"status": "assigned", "registrationState": dict(good, deviceId="a\r\nb")},
        {"status": "assigned", "registrationState": dict(good, deviceId="a\x1b[31m")},
        {"status": "assigned", "registrationState": dict(good, deviceId="a/b")},
        {"status": "assigned", "registrationState": dict(good, deviceId="a~b")},
        {"status": "assigned", "registrationState": dict(good, deviceId="\u00e4")},
        {"status": "failed", "registrationState": "because"},
    ):
        error = raised(register, Peer([answer(200, body)]))
        assert isinstance(error, ProtocolError), (body, error)
        assert error.args[0] in ("json", "answer"), body


def test_longest_ids():
    waiting = answer(202, {"status": "assigning", "operationId": "x" * 256})
    good = dict(ASSIGNED["registrationState"], deviceId="d" * 128)
    peer = Peer([waiting, answer(200, dict(ASSIGNED, registrationState=good))])
    assert register(peer).device_id == "d" * 128
    assert b"/operations/" + b"x" * 256 + b"?" in peer.sent[1]
    waiting = answer(202, {"status": "assigning", "operationId": "x" * 257})
    error = raised(register, Peer([waiting]))
    assert error.args == ("answer", HOST + ": operationId")


def test_substatus_is_optional():
    body = dict(ASSIGNED, registrationState=dict(ASSIGNED["registrationState"], substatus=None))
    assert register(Peer([answer(200, body)])).substatus == ""


def test_what_dps_says_is_cut_and_printable():
    state = dict(ASSIGNED["registrationState"], substatus="a\x1b\u00e4" + "b" * 99)
    body = dict(ASSIGNED, registrationState=state)
    assert register(Peer([answer(200, body)])).substatus == "a??" + "b" * 61
    for odd in ("d%_#*?!(),:=@$'", "A-Z.0+"):
        state = dict(ASSIGNED["registrationState"], deviceId=odd)
        body = dict(ASSIGNED, registrationState=state)
        assert register(Peer([answer(200, body)])).device_id == odd


def test_link_errors_reach_the_caller():
    for connections in ([[LinkError("dns", "x")]], [[CLOSED]], [[ACCEPTED, CLOSED], [CLOSED]]):
        assert isinstance(raised(register, Peer(*connections)), LinkError)


def test_poll_goes_on_when_the_connection_was_closed_meanwhile():
    peer = Peer([ACCEPTED, CLOSED], [answer(200, ASSIGNED)])
    assert register(peer).device_id == "my-x509-device"
    assert [sent[:3] for sent in peer.sent] == [b"PUT", b"GET", b"GET"]


def test_ids_cannot_leave_their_path_segment():
    peer = Peer([answer(200, dict(ASSIGNED, operationId="../../x?y"))])
    peer.run(dps.register(Connection(), HOST, "0ne/..", "a:b/../c", 5000))
    assert peer.sent[0].startswith(b"PUT /0ne%2F../registrations/a%3Ab%2F..%2Fc/register?")
