"""Shared by the tests of certificates: a certificate folder with a chain."""

import subprocess

import pytest

from microdps_tools.certs import encoding
from microdps_tools.certs.reading import load_certs

NAME = "device-01"

# Words that only a library would say, and that no user can act on.
INNER_WORDS = ("asn1", "ParseError", "deserial", "PEM_", "codec", "0x", "Traceback", "openssl_")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "certs"


@pytest.fixture
def made(command, out):
    """A folder with a root, an intermediate and a certificate for device-01."""
    assert command("certs", "chain", NAME, "--out", out).code == 0
    return out


@pytest.fixture
def files(made, tmp_path):
    """A function that writes a file → its path. Its attributes are the device's own files."""

    def write(name: str, content: bytes):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    write.chain = made / NAME / "full-chain.pem"
    write.key = made / NAME / "key.pem"
    write.text = write.chain.read_text()
    write.certs = load_certs(write.chain)
    write.der = encoding.der(*write.certs)
    return write


@pytest.fixture
def run_openssl(tmp_path):
    """Run openssl with arguments in the test's folder."""

    def run(*arguments):
        words = ["openssl", *map(str, arguments)]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    run.folder = tmp_path
    return run


@pytest.fixture
def plain():
    """Check that a message has none of a library's words."""

    def check(text: str) -> None:
        assert not any(word in text for word in INNER_WORDS), text
        assert "made by" not in text

    return check
