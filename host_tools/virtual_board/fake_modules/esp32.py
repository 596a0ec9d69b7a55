"""Fake esp32: non-volatile storage in files, and a heap that does not change.

The blob with key `k` in namespace `n` is the file `nvs/n/k` below the process's working folder. If
there is no such file, the blob is read from `nvs.bin` in that folder: a partition image, as
esp-idf-nvs-partition-gen makes it.

Source of the image's format: ESP-IDF, "Non-Volatile Storage Library", internals.
"""

import binascii
import struct

import vfs  # type: ignore[import-not-found]

# The computer's files. Its file system is not the one that is mounted at /.
_files = vfs.VfsPosix()

HEAP_DATA = 4
HEAP_EXEC = 1

_NOT_FOUND = -0x1102  # ESP_ERR_NVS_NOT_FOUND
_INVALID_LENGTH = -0x110C  # ESP_ERR_NVS_INVALID_LENGTH

_PAGE = 4096
_ENTRY = 32
_WRITTEN = 2
_U8 = 0x01
_BLOB_DATA = 0x42


def _image_blob(namespace, key):
    """The blob in nvs.bin; None if it is not there."""
    try:
        with _files.open("nvs.bin", "rb") as file:
            image = file.read()
    except OSError:
        return None
    number, chunks = None, {}
    for page in range(0, len(image), _PAGE):
        i = 0
        while i < 126:
            at = page + 64 + i * _ENTRY
            state = image[page + 32 + i // 4] >> (i % 4 * 2) & 3
            i += 1
            if state != _WRITTEN:
                continue
            owner, kind, span, chunk = image[at : at + 4]
            name = image[at + 8 : at + 24].split(b"\0")[0].decode()
            i += span - 1
            if owner == 0 and kind == _U8 and name == namespace:
                number = image[at + 24]
            elif kind == _BLOB_DATA and owner == number and name == key:
                size, _, crc = struct.unpack("<HHI", image[at + 24 : at + 32])
                data = image[at + _ENTRY : at + _ENTRY + size]
                if binascii.crc32(data, 0xFFFFFFFF) & 0xFFFFFFFF != crc:
                    raise OSError(-0x1108, "ESP_ERR_NVS_INVALID_STATE")
                chunks[chunk] = data
    return b"".join(chunks[n] for n in sorted(chunks)) if chunks else None


def idf_heap_info(capabilities):
    return [(163840, 120000, 110000, 100000)]


class NVS:
    def __init__(self, namespace):
        if len(namespace) > 15:
            raise OSError(-0x1109, "ESP_ERR_NVS_KEY_TOO_LONG")
        self._namespace = namespace
        self._folder = "nvs/" + namespace

    def get_blob(self, key, buffer):
        try:
            with _files.open(self._folder + "/" + key, "rb") as file:
                data = file.read()
        except OSError:
            data = _image_blob(self._namespace, key)
            if data is None:
                raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        if len(data) > len(buffer):
            raise OSError(_INVALID_LENGTH, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(data)] = data
        return len(data)

    def set_blob(self, key, value):
        for folder in ("nvs", self._folder):
            try:
                _files.mkdir(folder)
            except OSError:
                pass
        with _files.open(self._folder + "/" + key, "wb") as file:
            file.write(value)

    def erase_key(self, key):
        try:
            _files.remove(self._folder + "/" + key)
        except OSError:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")

    def commit(self):
        pass
