"""The flash file of the virtual board, and the NVS beside it."""

import subprocess
import sys

from littlefs import LittleFS

from helpers.virtual_boards import VirtualBoard

# Writes files without end, from a number on, and prints how many are complete.
WRITE = (
    "n = {}\n"
    "while True:\n"
    "    with open('file' + str(n), 'wb') as f:\n"
    "        for i in range(4): f.write(bytes([n & 255]) * 1000)\n"
    "    n += 1\n"
    "    print(n)\n"
)

# Prints each file's number, its size, and how many different bytes it has.
CHECK = (
    "import os\n"
    "for name in os.listdir():\n"
    "    data = open(name, 'rb').read()\n"
    "    print(name[4:], len(data), len(set(data)))\n"
)


def test_power_cut_in_the_middle_of_a_file(tmp_path):
    """Files that were complete are whole at the next start."""
    board = VirtualBoard(tmp_path / "flash")
    complete = 0
    for cut in range(2):
        board.start()
        command = [sys.executable, "-m", "mpremote", "connect", board.port, "exec"]
        writer = subprocess.Popen(
            [*command, WRITE.format(complete)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for line in writer.stdout:
            complete = int(line)
            if complete > 7 * (cut + 1):
                break
        board.kill()
        complete = max([complete, *map(int, writer.communicate()[0].split())])
        with board:
            found = [
                list(map(int, line.split()))
                for line in board.mpremote("exec", CHECK).split("\n")[:-1]
            ]
        assert sorted(found)[:complete] == [[n, 4000, 1] for n in range(complete)]


def test_size(tmp_path):
    with VirtualBoard(tmp_path / "flash", "--size", "128k") as board:
        assert "<VfsLfs2>    131072" in board.mpremote("df")
    assert (tmp_path / "flash").stat().st_size == 131072


def test_nvs_is_beside_the_flash(tmp_path):
    with VirtualBoard(tmp_path / "flash") as board:
        board.mpremote("exec", "import esp32; esp32.NVS('n').set_blob('k', b'blob')")
        code = "import esp32; b = bytearray(9); print(esp32.NVS('n').get_blob('k', b), b[:4])"
        assert board.mpremote("exec", code) == "4 bytearray(b'blob')\n"
    assert (tmp_path / "nvs" / "n" / "k").read_bytes() == b"blob"


def test_file_that_is_not_a_flash(command, tmp_path):
    other = tmp_path / "letter.txt"
    other.write_bytes(b"Dear reader," * 4096)
    refusal = command("virtual-board", "--flash", other).refusal
    assert "has no littlefs" in refusal and "name another file" in refusal
    assert other.read_bytes() == b"Dear reader," * 4096
    assert "cannot" in command("virtual-board", "--flash", "/proc/no/flash").refusal


def test_flash_in_use(command, board):
    assert "is in use: end the other" in command("virtual-board", "--flash", board.flash).refusal


def test_files_of_a_board_are_for_its_owner_only(tmp_path):
    """They hold the board's keys, whatever their names are."""
    (tmp_path / "flash").write_bytes(flash_bytes())
    (tmp_path / "flash").chmod(0o644)
    with VirtualBoard(tmp_path / "flash") as board:
        code = "import esp32; n = esp32.NVS('microdps'); n.set_blob('key', b'x'); n.commit()"
        board.mpremote("exec", code)
    with VirtualBoard(tmp_path / "new"):
        pass
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def flash_bytes() -> bytes:
    """A flash with an empty littlefs."""
    return bytes(LittleFS(block_size=4096, block_count=64).context.buffer)
