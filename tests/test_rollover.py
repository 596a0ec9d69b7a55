"""A board changes to a newer certificate."""

import datetime
import shutil
import subprocess
import sys

import pytest

from helpers.board_folders import board_for
from microdps_tools.certs.making import issue


@pytest.fixture
def board(simulator, tmp_path, request):
    return board_for(request, simulator, tmp_path)


def moment(**later) -> datetime.datetime:
    """When a certificate becomes valid: now, or that much later.

    The certificates that the simulator has issued already became valid earlier.
    """
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(**later)


@pytest.fixture
def renewed(board):
    """A board with its next certificate in slot b."""
    board.boot()
    issuer = board.simulator.intermediate
    pair = issue(board.name, issuer, start=moment())
    board.write_slot_b(pair, [issuer.cert])
    return board


def test_newer_certificate_is_tried_and_kept(renewed):
    shown = renewed.boot()
    assert "trying the newer one in slot b" in shown
    assert "the one in slot b is in use now" in shown
    assert "done: 3 messages sent" in shown
    assert renewed.state()["slot"] == "b"
    again = renewed.boot()
    assert "trying" not in again and "register:" not in again
    assert "done: 3 messages sent" in again


def test_certificate_on_trial_survives_a_power_cut_at_every_step(renewed):
    for step in ("trying the newer one", "register: 202", "assigned to"):
        with renewed.start() as process:
            for line in process.stdout:
                if step in line:
                    break
            process.kill()
        assert renewed.state().get("slot") != "b", step
    assert "the one in slot b is in use now" in renewed.boot()


def test_refused_certificate_is_given_up_and_not_tried_again(board):
    board.boot()
    stranger = issue("stranger", ca=True)
    pair = issue(board.name, stranger, start=moment())
    board.write_slot_b(pair, [stranger.cert])
    shown = board.boot()
    assert "error: certificate in slot b given up" in shown
    assert "the old certificate goes on: the board is reset" in shown
    assert "done: 3 messages sent" in board.boot()
    assert [entry["code"] for entry in board.errors()] == [401002]
    again = board.boot()
    assert "trying" not in again
    assert "done: 3 messages sent" in again


def test_incomplete_slot_is_reported_and_the_old_one_stays_in_use(renewed):
    (renewed.folder / "identity" / "b" / "cert.der").write_bytes(b"half of it")
    shown = renewed.boot()
    assert "error: identity/b/cert.der: " in shown
    assert "done: 3 messages sent" in shown


def test_older_certificate_in_the_other_slot_is_left_alone(board):
    issuer = board.simulator.intermediate
    pair = issue(board.name, issuer, start=moment(days=-30))
    board.write_slot_b(pair, [issuer.cert])
    assert "trying" not in board.boot()


def test_lost_slot_is_reported_and_the_other_one_used(renewed):
    renewed.boot()
    shutil.rmtree(renewed.folder / "identity" / "b")
    shown = renewed.boot()
    assert "error: identity/b/key.der: " in shown
    assert "done: 3 messages sent" in shown


def test_identity_in_an_nvs_partition(board):
    """ESP-IDF's own tool makes the image, and the folder identity/ is removed."""
    identity = board.folder / "identity" / "a"
    rows = ["key,type,encoding,value", "microdps,namespace,,"]
    rows += [f"{part},file,binary,{identity / part}.der" for part in ("key", "cert", "roots")]
    table = board.folder / "nvs.csv"
    table.write_text("\n".join(rows) + "\n")
    command = [sys.executable, "-m", "esp_idf_nvs_partition_gen", "generate"]
    subprocess.run([*command, table, board.folder / "nvs.bin", "0x6000"], check=True)
    shutil.rmtree(board.folder / "identity")
    assert "done: 3 messages sent" in board.boot()
