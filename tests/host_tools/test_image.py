"""Flash images: reproducible, read back, and run by the real MicroPython."""

import re
import subprocess
import sys

import pytest
from littlefs import LittleFS, UserContext

from host_tools import ToolError, boards, deploy, image
from host_tools.boards import MEGABYTE as MB
from tests.host_tools.mock_board import write_firmware
from tests.host_tools.virtual_board.boards import VirtualBoard, configure

BLOCK = 4096


@pytest.fixture(scope="module")
def files():
    return image.program_files()


def mounted(data: bytes, size: int) -> LittleFS:
    context = UserContext(size)
    context.buffer[: len(data)] = data
    made = LittleFS(context=context, block_size=BLOCK, block_count=size // BLOCK, mount=False)
    made.mount()
    return made


def test_program_image_is_the_same_each_time_and_small(files):
    first = image.littlefs(files, 2 * MB, BLOCK)
    assert image.littlefs(dict(reversed(files.items())), 2 * MB, BLOCK) == first
    assert len(first) < 5 * sum(map(len, files.values()))
    assert image.program_files() == files


def test_program_image_holds_what_a_deploy_leaves(files):
    fs = mounted(image.littlefs(files, 2 * MB, BLOCK), 2 * MB)
    for path, content in files.items():
        with fs.open(path, "rb") as file:
            assert file.read() == content
    assert fs.fs_stat().disk_version == 0x00020000  # readable by every release
    assert fs.fs_stat().block_count == 2 * MB // BLOCK
    assert {name.rpartition(".")[2] for name in fs.listdir("/program/a/microdps/protocol")} == {
        "mpy"
    }
    with fs.open("/program/a/manifest", "rb") as file:
        assert file.read() == deploy.manifest(deploy.program())


def test_program_that_does_not_fit():
    with pytest.raises(ToolError, match="does not fit a file system of 128 kB"):
        image.littlefs({"a": bytes(200_000)}, 128 * 1024, BLOCK)


def test_every_size_takes_what_it_can():
    """Up to the last block, and never half a file."""
    for size in (60_000, 90_000, 100_000, 110_000):
        files = {"a": bytes(size), "b/c": b"x" * 5000}
        try:
            fs = mounted(image.littlefs(files, 32 * BLOCK, BLOCK), 32 * BLOCK)
        except ToolError:
            assert size > 90_000
            continue
        with fs.open("/a", "rb") as file:
            assert file.read() == files["a"]


def test_nvs_image_is_the_same_each_time(simulator, tmp_path):
    folder = configure(tmp_path / "device", simulator, "image-nvs-01")
    blobs = image.device_blobs(folder)
    assert set(blobs["microdps"]) == {"config", "key", "cert", "roots"}
    assert image.nvs(blobs, 0x6000) == image.nvs(image.device_blobs(folder), 0x6000)
    assert len(image.nvs(blobs, 0x6000)) == 0x6000


def test_identity_too_large_for_nvs():
    with pytest.raises(ToolError, match="do not fit an NVS partition of 24 kB"):
        image.nvs({"microdps": {"key": bytes(15_000), "cert": bytes(9_000)}}, 0x6000)


def test_device_that_a_board_could_not_use(simulator, tmp_path, command):
    folder = configure(tmp_path / "device", simulator, "image-bad-01")
    (folder / "identity" / "a" / "key.der").unlink()
    out = tmp_path / "image.bin"
    done = command("image", "device", folder, "--board=ESP32_GENERIC", "--out", out)
    assert "identity/a/key.der" in done.refusal
    assert "microdps check" in done.refusal
    assert not out.exists()


def test_main_job_from_the_images(simulator, tmp_path, command):
    """The littlefs is mounted by MicroPython's own driver; identity and config are in NVS."""
    folder = configure(tmp_path / "device", simulator, "image-job-01", interval_s=0.5)
    board = "--board=ESP32_GENERIC_C3"
    flash, nvs = tmp_path / "board.flash", tmp_path / "nvs.bin"
    assert command("image", "program", board, "--out", flash).code == 0
    assert command("image", "device", folder, board, "--out", nvs).code == 0
    data = flash.read_bytes()
    flash.write_bytes(data.ljust(2 * MB, image.ERASED))
    with VirtualBoard(flash) as virtual:
        shown = virtual.until("done: 3 messages sent")
    assert "as image-job-01" in shown


@pytest.fixture
def firmware(tmp_path):
    """Make a firmware for a chip → its path."""
    return lambda chip="esp32", **size: write_firmware(tmp_path / f"{chip}.bin", chip, **size)


def test_merged_image(simulator, tmp_path, command, firmware):
    folder = configure(tmp_path / "device", simulator, "image-merge-01")
    path, out = firmware(), tmp_path / "merged.key.bin"
    arguments = ["image", "merge", folder, "--board=ESP32_GENERIC", "--firmware", path]
    assert command(*arguments, "--out", out).code == 0
    merged = out.read_bytes()
    data = path.read_bytes()
    assert merged[0x1000:0x9000] == data[: 0x9000 - 0x1000]
    assert merged[0x9000:0xF000] == image.nvs(image.device_blobs(folder), 0x6000)
    assert merged[0xF000 : 0x1000 + len(data)] == data[0xF000 - 0x1000 :]
    fs = image.littlefs(image.program_files(), 2 * MB, BLOCK)
    assert merged[0x200000:].rstrip(b"\xff") == fs.rstrip(b"\xff")
    assert "is there already" in command(*arguments, "--out", out).refusal
    assert command(*arguments, "--out", out, "--force").code == 0
    assert out.read_bytes() == merged


def test_firmware_that_is_none(tmp_path, command, firmware):
    out = tmp_path / "merged.bin"
    noise = tmp_path / "noise.bin"
    noise.write_bytes(b"\0" * 5000)
    for path, told in (
        (noise, "is no firmware of MicroPython's"),
        (firmware("esp32c3"), "another chip|is no firmware"),
        (firmware(size=2_100_000), "reaches into"),
        (tmp_path / "missing.bin", "cannot read"),
    ):
        done = command("image", "merge", "--board=ESP32_GENERIC", "--firmware", path, "--out", out)
        assert re.search(told, done.refusal), done.refusal
        assert not out.exists()


def test_release_decides_where_the_file_system_ends(tmp_path, command):
    sizes = set()
    for release, size in (("1.25.0", 2 * MB), ("1.27.0", 6 * MB)):
        out = tmp_path / f"{release}.bin"
        arguments = ["--flash-size=8MB", f"--micropython={release}", "--out", out]
        assert command("image", "program", "--board=ESP32_GENERIC", *arguments).code == 0
        stat = mounted(out.read_bytes(), size).fs_stat()
        sizes.add(stat.block_count * stat.block_size)
    assert sizes == {2 * MB, 6 * MB}


def test_help_is_quick():
    """The libraries for flashing are loaded when they are used."""
    code = "import sys, host_tools.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert not {"esptool", "azure.identity", "twisted"} & set(loaded.split())


def test_program_image_is_for_all_devices(files):
    assert {path.partition("/")[0] for path in files} == {
        "app.py",
        "boot.py",
        "main.py",
        "program",
    }


def test_boards_have_room_for_the_program(files):
    for name in boards.names():
        board = boards.load(name)
        for size in board.sizes:
            image.littlefs(files, board.filesystem_size(size), BLOCK)
