"""Flash images: reproducible, read back, and run by the real MicroPython."""

import re
import subprocess
import sys

import pytest
from littlefs import LittleFS, UserContext

from helpers.mock_boot_loader import write_firmware
from helpers.virtual_boards import VirtualBoard, configure
from microdps_tools import ToolError, boards
from microdps_tools.board import image
from microdps_tools.boards import MEGABYTE as MB
from microdps_tools.device.program import compile_program, digest, manifest

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


def test_program_image_is_always_the_same_and_small(files):
    first = image.littlefs_image(files, 2 * MB, BLOCK)
    assert image.littlefs_image(dict(reversed(files.items())), 2 * MB, BLOCK) == first
    assert len(first) < 5 * sum(map(len, files.values()))
    assert image.program_files() == files


def test_program_image_has_the_files_of_a_deploy(files):
    fs = mounted(image.littlefs_image(files, 2 * MB, BLOCK), 2 * MB)
    for path, content in files.items():
        with fs.open(path, "rb") as file:
            assert file.read() == content
    assert fs.fs_stat().disk_version == 0x00020000  # every release can read it
    assert fs.fs_stat().block_count == 2 * MB // BLOCK
    assert {name.rpartition(".")[2] for name in fs.listdir("/program/a/microdps/protocol")} == {
        "mpy"
    }
    with fs.open("/program/a/manifest", "rb") as file:
        assert file.read() == manifest(
            {n: digest(content) for n, content in compile_program().items()}
        )


def test_program_that_does_not_fit():
    with pytest.raises(ToolError, match="does not fit a file system of 128 kB"):
        image.littlefs_image({"a": bytes(200_000)}, 128 * 1024, BLOCK)


def test_files_fit_up_to_the_last_block():
    """Either the whole file fits, or it is refused."""
    for size in (60_000, 90_000, 100_000, 110_000):
        files = {"a": bytes(size), "b/c": b"x" * 5000}
        try:
            fs = mounted(image.littlefs_image(files, 32 * BLOCK, BLOCK), 32 * BLOCK)
        except ToolError:
            assert size > 90_000
            continue
        with fs.open("/a", "rb") as file:
            assert file.read() == files["a"]


def test_nvs_image_is_always_the_same(simulator, tmp_path):
    folder = configure(tmp_path / "device", simulator, "image-nvs-01")
    blobs = image.device_blobs(folder)
    assert set(blobs["microdps"]) == {"config", "key", "cert", "roots"}
    assert image.nvs_image(blobs, 0x6000) == image.nvs_image(image.device_blobs(folder), 0x6000)
    assert len(image.nvs_image(blobs, 0x6000)) == 0x6000


def test_identity_too_large_for_nvs():
    with pytest.raises(ToolError, match="do not fit an NVS partition of 24 kB"):
        image.nvs_image({"microdps": {"key": bytes(15_000), "cert": bytes(9_000)}}, 0x6000)


def test_unusable_device_is_refused(simulator, tmp_path, command):
    folder = configure(tmp_path / "device", simulator, "image-bad-01")
    (folder / "identity" / "a" / "key.der").unlink()
    out = tmp_path / "image.bin"
    done = command("image", "device", folder, "--board=ESP32_GENERIC", "--out", out)
    assert "identity/a/key.der" in done.refusal
    assert "microdps check" in done.refusal
    assert not out.exists()


def test_main_job_with_the_images(simulator, tmp_path, command):
    """MicroPython's own driver mounts the littlefs. Identity and config are in NVS."""
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
    """A function that makes a firmware for a chip → its path."""
    return lambda chip="esp32", **size: write_firmware(tmp_path / f"{chip}.bin", chip, **size)


def test_merged_image(simulator, tmp_path, command, firmware):
    folder = configure(tmp_path / "device", simulator, "image-merge-01")
    path, out = firmware(), tmp_path / "merged.key.bin"
    arguments = ["image", "merge", folder, "--board=ESP32_GENERIC", "--firmware", path]
    assert command(*arguments, "--out", out).code == 0
    merged = out.read_bytes()
    data = path.read_bytes()
    assert merged[0x1000:0x9000] == data[: 0x9000 - 0x1000]
    assert merged[0x9000:0xF000] == image.nvs_image(image.device_blobs(folder), 0x6000)
    assert merged[0xF000 : 0x1000 + len(data)] == data[0xF000 - 0x1000 :]
    fs = image.littlefs_image(image.program_files(), 2 * MB, BLOCK)
    assert merged[0x200000:].rstrip(b"\xff") == fs.rstrip(b"\xff")
    assert "already exists" in command(*arguments, "--out", out).refusal
    assert command(*arguments, "--out", out, "--force").code == 0
    assert out.read_bytes() == merged


def test_bad_firmware_file(tmp_path, command, firmware):
    out = tmp_path / "merged.bin"
    noise = tmp_path / "noise.bin"
    noise.write_bytes(b"\0" * 5000)
    for path, expected in (
        (noise, "is not a MicroPython firmware"),
        (firmware("esp32c3"), "another chip|is not a MicroPython firmware"),
        (firmware(size=2_100_000), "overlaps"),
        (tmp_path / "missing.bin", "cannot read"),
    ):
        done = command("image", "merge", "--board=ESP32_GENERIC", "--firmware", path, "--out", out)
        assert re.search(expected, done.refusal), done.refusal
        assert not out.exists()


def test_release_decides_the_size_of_the_file_system(tmp_path, command):
    sizes = set()
    for release, size in (("1.25.0", 2 * MB), ("1.27.0", 6 * MB)):
        out = tmp_path / f"{release}.bin"
        arguments = ["--flash-size=8MB", f"--micropython={release}", "--out", out]
        assert command("image", "program", "--board=ESP32_GENERIC", *arguments).code == 0
        stat = mounted(out.read_bytes(), size).fs_stat()
        sizes.add(stat.block_count * stat.block_size)
    assert sizes == {2 * MB, 6 * MB}


def test_help_does_not_load_the_large_libraries():
    """They are loaded when they are used."""
    code = "import sys, microdps_tools.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert not {"esptool", "azure.identity", "twisted"} & set(loaded.split())


def test_program_image_has_nothing_of_a_device(files):
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
            image.littlefs_image(files, board.filesystem_size(size), BLOCK)


def test_images_of_many_devices(simulator, command, tmp_path):
    """Each is the same as that of the device alone, and for its owner's eyes only."""
    names = ("image-a", "image-b")
    for name in names:
        configure(tmp_path / "devices" / name, simulator, name)
    given = ("--board", "ESP32_GENERIC", "--out")
    done = command("image", "devices", tmp_path / "devices", *given, tmp_path / "images")
    assert done.out == f"{tmp_path / 'images'}: 2 images of 24576 bytes\n"
    for name in names:
        alone = tmp_path / f"{name}.bin"
        assert command("image", "device", tmp_path / "devices" / name, *given, alone).code == 0
        both = tmp_path / "images" / f"{name}.bin"
        assert both.read_bytes() == alone.read_bytes()
        assert both.stat().st_mode & 0o777 == alone.stat().st_mode & 0o777 == 0o600
    again = command("image", "devices", tmp_path / "devices", *given, tmp_path / "images")
    assert "--force" in again.refusal


@pytest.mark.parametrize("with_device", [False, True])
def test_merged_image_is_secret_if_it_has_a_device(simulator, command, tmp_path, with_device):
    write_firmware(tmp_path / "firmware.bin")
    folder = [configure(tmp_path / "d", simulator, "image-merged")] if with_device else []
    given = ("--board", "ESP32_GENERIC", "--firmware", tmp_path / "firmware.bin")
    done = command("image", "merge", *folder, *given, "--out", tmp_path / "all.bin")
    assert done.code == 0
    assert (tmp_path / "all.bin").stat().st_mode & 0o777 == (0o600 if with_device else 0o644)
