"""Small programs to deploy, which print their version, and how to deploy them."""

import pytest

from helpers.virtual_boards import VirtualBoard
from microdps_tools import ToolError
from microdps_tools.board.deploy import deploy

COMMON = {f"microdps/part{n}.py": b"# " + bytes([65 + n]) * 3000 + b"\n" for n in range(2)}

# The body of a program that proves itself, as if the hub had accepted a message.
PROVES = (
    "    import os\n"
    "    with open('program/use') as f: use = f.read()\n"
    "    with open('program/use.new', 'w') as f: f.write(use[0])\n"
    "    os.rename('program/use.new', 'program/use')\n"
    "    print('proven')\n"
)


def small(version: int, body: str = "", **more: bytes) -> dict[str, bytes]:
    """A program that prints its version. body: more code; more: more modules."""
    code = f"def run():\n    print('version {version} runs')\n{body}"
    return {
        "microdps/__init__.py": b"",
        "microdps/board.py": b"PRESENT = True\n",
        "microdps/program.py": code.encode(),
        **COMMON,
        **{f"microdps/{name}.py": content for name, content in more.items()},
    }


def put(board: VirtualBoard, files: dict[str, bytes], **others: bytes) -> str:
    """Deploy a program → the line about the result. others: files outside of the slots."""
    return deploy(board.port, files, {f"/{n}.py": content for n, content in others.items()})


def refusal(board: VirtualBoard, files: dict[str, bytes]) -> str:
    """Deploy a program, which must fail → the error."""
    with pytest.raises(ToolError) as caught:
        put(board, files)
    return str(caught.value)
