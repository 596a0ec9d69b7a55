"""The client of the service API: paging, error answers, and servers that are not DPS."""

import base64
import json
import socket

import pytest

from helpers import peers
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue
from microdps_tools.enroll import connection_string
from microdps_tools.files import write_files


def test_list_goes_through_all_pages(peer):
    def page(key, *names):
        records = [{key: name, "provisioningStatus": "enabled"} for name in names]
        return json.dumps(records).encode()

    answers = [
        (b"200 OK\r\nx-ms-continuation: next", page("registrationId", "a", "b")),
        (b"200 OK", page("registrationId", "c")),
        (b"200 OK", page("enrollmentGroupId", "g")),
    ]
    done, asked = peer(answers, "list")
    assert [line.split()[:2] for line in done.out.splitlines()] == [
        ["individual", "a,"],
        ["individual", "b,"],
        ["individual", "c,"],
        ["group", "g,"],
    ]
    assert [b"x-ms-continuation: next" in request for request in asked] == [False, True, False]


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (b"401 Unauthorized", "check the key"),
        (b"403 Forbidden", "permits"),
        (b"429 Too Many Requests", "wait a minute"),
        (b"500 Oh", "HTTP 500"),
    ],
)
def test_refusal_is_one_sentence_that_says_what_to_do(peer, status, advice):
    done, _ = peer([(status, b"<html>\n<p>no</p>\n" + b"x" * 10_000)], "list")
    assert advice in done.refusal
    assert len(done.refusal) < 500


def test_list_of_a_server_that_is_not_dps(peer):
    for body in (b"<html>", b"{}"):
        assert "it is not DPS" in peer([(b"200 OK", body)], "list")[0].refusal


def test_list_and_delete(with_key, cert, rest):
    file, name = cert
    with_key("individual", name, "--cert", file)
    lines = with_key("list").out.splitlines()
    assert f"individual {name}, enabled" in lines
    assert "group      group-01, enabled" in lines
    assert with_key("delete", "individual", name).out == f"deleted: individual {name}\n"
    assert rest("GET", f"enrollments/{name}").status_code == 404
    assert "there is no individual" in with_key("delete", "individual", name).out


def test_wrong_key_is_refused_and_nothing_changes(enrolling, cert, changed_key_file, rest):
    file, name = cert
    wrong = base64.b64encode(b"w" * 32).decode()
    bad = changed_key_file(rest.key, wrong)
    done = enrolling("individual", name, "--cert", file, "--connection-string-file", bad)
    assert f"DPS refused to read {name}: HTTP 401" in done.refusal
    assert wrong not in done.refusal
    assert rest("GET", f"enrollments/{name}").status_code == 404


def test_host_that_does_not_answer(enrolling, cert, changed_key_file, simulator):
    file, name = cert
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host = f"localhost:{closed.getsockname()[1]}"
    bad = changed_key_file(simulator.dps, host)
    done = enrolling("individual", name, "--cert", file, "--connection-string-file", bad)
    assert f"cannot reach DPS at {host}" in done.refusal
    assert "refused" in done.refusal


def test_root_that_is_not_trusted(enrolling, cert, key_file, rest):
    file, name = cert
    done = enrolling(
        "individual", name, "--cert", file, "--connection-string-file", key_file, ca=None
    )
    assert "certificate verify failed" in done.refusal
    assert "--ca" in done.refusal
    assert rest("GET", f"enrollments/{name}").status_code == 404


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_bad_root_file(enrolling, cert, key_file, tmp_path, content):
    file, name = cert
    ca = tmp_path / "ca.pem"
    if content:
        ca.write_text(content)
    done = enrolling(
        "individual", name, "--cert", file, "--connection-string-file", key_file, ca=ca
    )
    assert "--ca" in done.refusal


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}"])
def test_server_that_is_not_dps(enrolling, cert, tmp_path, monkeypatch, body):
    file, name = cert
    root = issue("peer root", ca=True)
    write_files(tmp_path, {"peer-root.pem": encoding.pem(root.cert)})

    def handle(connection):
        peers.read_request(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + body)

    context = peers.server_context(tmp_path, root)
    with peers.listening(peers.tls(context, handle)) as port:
        host = f"localhost:{port}"
        key = f"HostName={host};SharedAccessKeyName=owner;SharedAccessKey=AAAA"
        monkeypatch.setenv(connection_string.VARIABLE, key)
        done = enrolling("individual", name, "--cert", file, ca=tmp_path / "peer-root.pem")
    assert f"{host} answered" in done.refusal
