"""Downloading MicroPython's firmware with mpflash."""

from microdps_tools import boards
from microdps_tools.board.firmware_download import download


def test_mpflash_gets_the_release_and_the_board(tmp_path, monkeypatch):
    """A script takes the place of mpflash, which needs the internet."""
    script = tmp_path / "mpflash"
    script.write_text('#!/bin/sh\nprintf x > "$MPFLASH_FIRMWARE/$5-v$3.bin"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = download("1.27.0", boards.load("ESP32_GENERIC-SPIRAM"), tmp_path / "got")
    assert found.name == "ESP32_GENERIC-SPIRAM-v1.27.0.bin"
