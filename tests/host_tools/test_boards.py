"""Each board's file in boards/ fits the schema, and its values fit together."""

import json
import tomllib

import jsonschema
import pytest

from microdps_tools import ToolError, boards

MB = boards.MEGABYTE
SCHEMA = json.loads((boards.BOARDS / "schema.json").read_text())

board = pytest.mark.parametrize("name", boards.names())


def test_promised_boards_exist():
    assert {"ESP32_GENERIC", "ESP32_GENERIC_C3", "ESP32_GENERIC_S2", "ESP32_GENERIC_S3"} <= set(
        boards.names()
    )
    assert {"ESP32_GENERIC_C6", "ESP32_GENERIC-SPIRAM"} <= set(boards.names())
    assert any(boards.load(name).sizes[0] == 8 * MB for name in boards.names())


@board
def test_schema(name):
    jsonschema.validate(tomllib.loads((boards.BOARDS / name / "board.toml").read_text()), SCHEMA)


def test_schema_refuses_bad_values():
    data = tomllib.loads((boards.BOARDS / "ESP32_GENERIC" / "board.toml").read_text())
    for change in ({"chip": "esp8266"}, {"extra": 1}, {"links": []}, {"firmware": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(data | change, SCHEMA)


@board
def test_folder_is_named_after_the_board(name):
    made = boards.load(name)
    assert name == (f"{made.board}-{made.variant}" if made.variant else made.board)


@board
def test_parts_of_flash_do_not_overlap(name):
    made = boards.load(name)
    assert made.firmware < made.nvs + made.nvs_size <= 0x10000 < made.filesystem
    for size in made.sizes:
        assert made.filesystem + made.filesystem_size(size) == size
    assert made.filesystem + made.size_to_1_25 <= max(made.sizes)


@board
def test_readme_lists_the_board(name):
    assert f"[{name}]({name}/board.toml)" in (boards.BOARDS / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "flash", "release", "size"),
    [
        ("ESP32_GENERIC", None, None, 2 * MB),
        ("ESP32_GENERIC", "4MB", "1.25.0", 2 * MB),
        ("ESP32_GENERIC", "8MB", "1.25.0", 2 * MB),  # the table's row
        ("ESP32_GENERIC", "8mb", "v1.26.1", 6 * MB),
        ("ESP32_GENERIC_S3", None, "1.24.1", 6 * MB),
        ("ESP32_GENERIC_S3", "16 MB", "1.29.0-preview", 14 * MB),
    ],
)
def test_size_of_the_file_system(name, flash, release, size):
    made = boards.load(name)
    assert made.filesystem_size(made.flash_size(flash), release) == size


@pytest.mark.parametrize(
    ("flash", "release", "expected"),
    [
        ("2MB", None, "has no flash of"),
        ("5MB", None, "has no flash of"),
        ("big", None, "has no flash of"),
        ("4MB", "1.23.0", "is too old"),
        ("4MB", "newest", "is not a MicroPython release"),
        ("4MB", "1.25", "too small"),
    ],
)
def test_size_that_does_not_fit(flash, release, expected):
    made = boards.load("ESP32_GENERIC_S3")
    with pytest.raises(ToolError, match=expected):
        made.filesystem_size(made.flash_size(flash), release)


@pytest.mark.parametrize("name", ["ESP8266_GENERIC", "", ".", "../boards/ESP32_GENERIC"])
def test_unknown_board(name):
    with pytest.raises(ToolError, match="choose one of ESP32_GENERIC"):
        boards.load(name)
