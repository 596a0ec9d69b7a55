"""A mock of the chip's boot loader, and a firmware image that esptool accepts."""

import os
import re
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path

from microdps_tools.board import image

NVS_AT, NVS_SIZE = 0x9000, 0x6000
START_S = 30
TIMEOUT_S = 120


def nvs_of(folder: Path) -> bytes:
    """The NVS image of a device's folder."""
    return image.nvs_image(image.device_blobs(folder), NVS_SIZE)


def write_firmware(path: Path, chip: str = "esp32", size: int = 150_000) -> Path:
    """Write a firmware image that covers the NVS partition, as MicroPython's does → its path."""
    from esptool.bin_image import ELFSection, ESP32C3FirmwareImage, ESP32FirmwareImage

    made = {"esp32": ESP32FirmwareImage, "esp32c3": ESP32C3FirmwareImage}[chip]()
    made.entrypoint = 0x40080000
    made.segments = [ELFSection(b"data", 0x3FFB0000, bytes(range(256)) * (size // 256), 0)]
    made.save(str(path))
    return path


class Mock:
    """esp32-mock-bootloader as a separate process, with its own flash."""

    def __init__(self, folder, chip="esp32"):
        self.folder = folder
        folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            number = free.getsockname()[1]
        self.port = f"socket://127.0.0.1:{number}"
        self.process = subprocess.Popen(
            [Path(sys.executable).parent / "esp32-mock-bootloader", "run"]
            + ["--chip", chip, "--port", str(number)],
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        while True:
            ready, _, _ = select.select([self.process.stdout], [], [], START_S)
            line = self.process.stdout.readline() if ready else b""
            assert line, "the mock boot loader did not start"
            if re.search(rb"listening|:%d" % number, line, re.IGNORECASE):
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def read(self, offset: int, size: int) -> bytes:
        """Read flash with the real esptool."""
        path = self.folder / "read.bin"
        command = [sys.executable, "-m", "esptool", "--port", self.port, "--no-stub"]
        command += ["--after", "no-reset", "read-flash", hex(offset), hex(size), path]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=TIMEOUT_S)
        return path.read_bytes()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
