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


PARTS = ("HostName=x.azure-devices-provisioning.net", "SharedAccessKeyName=owner")
WHOLE = ";".join((*PARTS, "SharedAccessKey=QUFB"))
PARSED = {
    "HostName": "x.azure-devices-provisioning.net",
    "SharedAccessKeyName": "owner",
    "SharedAccessKey": "QUFB",
}


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        f'"{WHOLE}"\n',
        f"'{WHOLE}'\r\n",
        f"  {WHOLE}; ",
        f'MICRODPS_DPS_CONNECTION_STRING="{WHOLE}"',
        f"export MICRODPS_DPS_CONNECTION_STRING='{WHOLE}'",
        f'$env:DPS = "{WHOLE}"',
        WHOLE.replace(";", " ;\n"),
        WHOLE.replace("HostName", "hostname").replace("SharedAccessKey=", "sharedaccesskey="),
        WHOLE.replace("x.azure", "https://x.azure").replace(".net;", ".net/;"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_connection_string_as_people_save_it(tmp_path, text, encoding):
    file = tmp_path / "key.txt"
    file.write_bytes(text.encode(encoding))
    assert connection_string.parse(connection_string.read(file)) == PARSED


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (WHOLE.replace("-provisioning", ""), "an IoT hub's"),
        (WHOLE.replace("-provisioning.net", ".cn"), "an IoT hub's"),
        ("HostName=h.azure-devices.net;DeviceId=d;SharedAccessKey=QUFB", "a device's"),
        (
            "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=a;SharedAccessKey=QUFB",
            "a",
        ),
        ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=QUFB", "a storage account's"),
        ("SharedAccessSignature sr=x&sig=QUFB&se=1&skn=a", "a SAS token"),
        (f'{{"connectionString": "{WHOLE}"}}', "--query connectionString --output tsv"),
        ('[{"keyName": "owner", "primaryKey": "QUFB"}]', "az iot dps connection-string show"),
    ],
)
def test_string_of_another_service_is_named(enrolling, tmp_path, text, kind):
    file = tmp_path / "key.txt"
    file.write_text(text)
    refusal = enrolling("list", "--connection-string-file", file).refusal
    assert kind in refusal and "copy" in refusal or "save" in refusal, refusal
    assert "QUFB" not in refusal
