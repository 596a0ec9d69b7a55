"""Shared by the tests of enrollment: `microdps enroll` against several servers."""

import re

import pytest

from helpers import peers
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import device_files, make_self_signed
from microdps_tools.certs.making import issue
from microdps_tools.enroll import connection_string
from microdps_tools.files import write_files


@pytest.fixture
def key_file(simulator):
    return simulator.state / "connection-string.key.txt"


@pytest.fixture
def cert(tmp_path, request):
    """A file with a certificate, and the registration ID in it."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name)[-60:] + "-0"
    return make_self_signed(name, tmp_path, "ec-p256", 30, False) / "cert.pem", name


@pytest.fixture
def ca_cert(cert):
    """A file with a CA's certificate, and a name for its group."""
    folder = cert[0].parent.with_name("ca")
    write_files(folder, device_files(issue(cert[1], ca=True), []))
    return folder / "cert.pem", cert[1]


@pytest.fixture
def enrolling(command, simulator, rest, monkeypatch):
    """Run `microdps enroll` → Done. The key never appears in the output."""
    monkeypatch.delenv(connection_string.VARIABLE, raising=False)

    def run(*arguments, ca=simulator.root):
        done = command("enroll", *arguments, *(["--ca", ca] if ca else []))
        assert rest.key not in done.out + done.err
        return done

    return run


@pytest.fixture
def with_key(enrolling, key_file):
    """Run `microdps enroll` with the simulator's connection string → Done."""
    return lambda *arguments: enrolling(*arguments, "--connection-string-file", key_file)


@pytest.fixture
def peer(tmp_path, monkeypatch, command):
    """Run `microdps enroll` against a server with these answers, one for each connection.

    Returns Done, and the heads of the requests.
    """
    root = issue("peer root", ca=True)
    write_files(tmp_path, {"peer-root.pem": encoding.pem(root.cert)})

    def run(answers, *arguments):
        left = list(answers)
        asked = []

        def handle(connection):
            asked.append(bytes(peers.read_request(connection) or b""))
            head, body = left.pop(0)
            connection.sendall(b"HTTP/1.0 " + head + b"\r\n\r\n" + body)

        context = peers.server_context(tmp_path, root)
        with peers.listening(peers.tls(context, handle)) as port:
            key = f"HostName=localhost:{port};SharedAccessKeyName=owner;SharedAccessKey=AAAA"
            monkeypatch.setenv(connection_string.VARIABLE, key)
            done = command("enroll", *arguments, "--ca", tmp_path / "peer-root.pem")
        assert "AAAA" not in done.out + done.err
        return done, asked

    return run


@pytest.fixture
def changed_key_file(key_file, tmp_path):
    """Replace a part of the simulator's connection string → a file with the result."""

    def change(old, new):
        text = key_file.read_text()
        assert old in text
        file = tmp_path / "changed.key.txt"
        file.write_text(text.replace(old, new))
        return file

    return change
