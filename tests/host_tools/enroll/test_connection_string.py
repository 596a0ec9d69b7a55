"""The connection string: where it comes from, and the errors of a bad one."""

import pytest

from microdps_tools.enroll import connection_string


def test_no_connection_string(enrolling, cert):
    file, name = cert
    refusal = enrolling("individual", name, "--cert", file).refusal
    assert "there is no DPS connection string" in refusal
    assert connection_string.VARIABLE in refusal


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_connection_string_file_without_one(enrolling, cert, tmp_path, content):
    file, name = cert
    key_file = tmp_path / "key.txt"
    if content is not None:
        key_file.write_bytes(content)
    refusal = enrolling(
        "individual", name, "--cert", file, "--connection-string-file", key_file
    ).refusal
    assert "connection string" in refusal


@pytest.mark.parametrize("part", connection_string.KEYS)
def test_incomplete_connection_string(enrolling, cert, key_file, monkeypatch, part):
    file, name = cert
    parts = [p for p in key_file.read_text().split(";") if not p.startswith(f"{part}=")]
    assert len(parts) == 2
    monkeypatch.setenv(connection_string.VARIABLE, ";".join(parts))
    assert f"has no {part}:" in enrolling("individual", name, "--cert", file).refusal


@pytest.mark.parametrize("key", ["abc", "!!!!", "ä" * 4])
def test_key_that_is_not_base64(enrolling, cert, changed_key_file, rest, key):
    file, name = cert
    bad = changed_key_file(rest.key, key)
    done = enrolling("individual", name, "--cert", file, "--connection-string-file", bad)
    assert "SharedAccessKey of the DPS connection string is not base64" in done.refusal
    assert key not in done.refusal
