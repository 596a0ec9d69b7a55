"""esp32: non-volatile storage in a folder of files, and a heap that does not change.

A blob of the namespace `n` and key `k` is the file `nvs/n/k` below the working folder.
"""

import os

HEAP_DATA = 4
HEAP_EXEC = 1

_NOT_FOUND = -0x1102  # ESP_ERR_NVS_NOT_FOUND
_INVALID_LENGTH = -0x110C  # ESP_ERR_NVS_INVALID_LENGTH


def idf_heap_info(capabilities):
    return [(163840, 120000, 110000, 100000)]


class NVS:
    def __init__(self, namespace):
        if len(namespace) > 15:
            raise OSError(-0x1109, "ESP_ERR_NVS_KEY_TOO_LONG")
        self._folder = "nvs/" + namespace

    def get_blob(self, key, buffer):
        try:
            with open(self._folder + "/" + key, "rb") as file:
                data = file.read()
        except OSError:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        if len(data) > len(buffer):
            raise OSError(_INVALID_LENGTH, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(data)] = data
        return len(data)

    def set_blob(self, key, value):
        for folder in ("nvs", self._folder):
            try:
                os.mkdir(folder)
            except OSError:
                pass
        with open(self._folder + "/" + key, "wb") as file:
            file.write(value)

    def erase_key(self, key):
        try:
            os.remove(self._folder + "/" + key)
        except OSError:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")

    def commit(self):
        pass
