"""The host tools: the `microdps` command, with a folder for each subject. See README.md."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

# In a checkout, the tools read its firmware/ and boards/. The wheel has copies beside this file.
IS_CHECKOUT = (CHECKOUT / "firmware" / "boot.py").exists()
FIRMWARE = CHECKOUT / "firmware" if IS_CHECKOUT else Path(__file__).parent / "firmware"
BOARDS = CHECKOUT / "boards" if IS_CHECKOUT else Path(__file__).parent / "board_files"


class ToolError(Exception):
    """An error for the user: one sentence that says what happened and what to do.

    `microdps` prints it without a traceback.
    """
