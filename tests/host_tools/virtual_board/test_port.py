"""The serial ports of the virtual board: pseudo-terminal, socket and link."""

import time

from helpers.virtual_boards import VirtualBoard


def test_output_is_lost_when_nobody_listens(own, tmp_path):
    """The board goes on."""
    (tmp_path / "main.py").write_text(
        "import esp32\n"
        "for i in range(2000):\n"
        "    print('line', i, 'x' * 100)\n"
        "esp32.NVS('test').set_blob('over', b'')\n"
    )
    own.copy(tmp_path, "main.py")
    own.mpremote("reset")
    deadline = time.monotonic() + 20
    while not (tmp_path / "nvs" / "test" / "over").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_socket(tmp_path):
    with VirtualBoard(tmp_path / "flash", "--listen", "127.0.0.1:0") as board:
        assert board.port.startswith("socket://127.0.0.1:")
        (tmp_path / "file").write_text("content\n")
        board.mpremote("cp", tmp_path / "file", ":")
        assert board.mpremote("cat", ":file") == "content\n"


def test_link(tmp_path):
    (tmp_path / "port").symlink_to("stale")
    with VirtualBoard(tmp_path / "flash", "--link", str(tmp_path / "port")) as board:
        assert board.port == str(tmp_path / "port")
        assert board.mpremote("eval", "1") == "1\n"
    assert {path.name for path in tmp_path.iterdir()} == {"flash"}


def test_link_or_port_that_is_taken(command, tmp_path):
    flash = tmp_path / "flash"
    taken = tmp_path / "taken"
    taken.write_text("mine")
    refusal = command("virtual-board", "--flash", flash, "--link", taken).refusal
    assert "already exists, and is not a link: name another" in refusal
    assert taken.read_text() == "mine"
    with VirtualBoard(flash, "--listen", "127.0.0.1:0") as board:
        address = board.port.removeprefix("socket://")
        refusal = command("virtual-board", "--flash", tmp_path / "x", "--listen", address).refusal
    assert "name another port" in refusal
    assert not (tmp_path / "x").exists()
