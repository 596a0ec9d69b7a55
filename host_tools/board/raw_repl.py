"""A board's raw REPL, through mpremote: run code, read the state of the board, write files."""

import ast
import base64
import contextlib
import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path

from mpremote.transport import TransportError, TransportExecError  # type: ignore[import-untyped]
from mpremote.transport_serial import SerialTransport  # type: ignore[import-untyped]

from .. import ToolError
from ..device.program import USE
from .deploy_plan import BoardState
from .ports import port_advice

ON_BOARD = (Path(__file__).parent / "on_board" / "deploy_functions.py").read_text()

OLDEST = (1, 24)  # MicroPython release
TIMEOUT_S = 10
ATTEMPTS = 5  # to interrupt the program: a board that is starting may miss some
ATTEMPT_S = 2
CHUNK = 1536  # bytes of a file that one call sends


class RawRepl:
    """A board's raw REPL. Raises ToolError for every problem with it.

    outcome  the part of an error message that describes the board after the error
    is_full  has the file system refused more data?
    """

    def __init__(self, port: str):
        self.port = port
        self.outcome = "nothing on it has changed"
        self.is_full = False
        try:
            self._transport = SerialTransport(port, timeout=TIMEOUT_S)
        except TransportError as error:
            usual = "check its name, and end the other program that uses it"
            if "://" in port:
                usual = "start the board, and name its port"
            advice = port_advice(port) or usual
            raise ToolError(f"cannot open {port}: {advice}") from error

    @contextlib.contextmanager
    def _tool_errors(self) -> Iterator[None]:
        """Turn mpremote's exceptions into ToolErrors."""
        try:
            # mpremote prints text for its own developers when it fails.
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except TransportExecError as error:
            raise ToolError(self._message(error.error_output.strip())) from error
        except (TransportError, OSError, struct.error) as error:
            raise ToolError(
                f"the connection to {self.port} broke off: {self.outcome}; check the cable, and"
                " deploy again"
            ) from error

    def _message(self, traceback: str) -> str:
        """The message for an exception on the board."""
        last_line = " ".join(traceback.splitlines()[-1:])
        if re.search("EROFS|OSError: 30$", last_line):
            return (
                f"the file system of {self.port} is read-only: {self.outcome}; check how boot.py"
                " mounts it, and deploy again"
            )
        if re.search("ENOSPC|OSError: 28$", last_line):
            self.is_full = True
            return (
                f"the file system of {self.port} is full: {self.outcome}; delete files that you do"
                " not need, and deploy again"
            )
        return (
            f"{self.port} reports {last_line}: {self.outcome}; reset the board, and deploy again"
        )

    def interrupt(self) -> None:
        """Stop the running program. There is no soft reset, so its watchdog is still fed."""
        self._transport.serial.timeout = ATTEMPT_S
        for left in reversed(range(ATTEMPTS)):
            try:
                with self._tool_errors():
                    self._transport.enter_raw_repl(soft_reset=False, timeout_overall=ATTEMPT_S)
                self._transport.serial.timeout = TIMEOUT_S
                return
            except ToolError as error:
                if not left or not isinstance(error.__cause__, TransportError):
                    raise ToolError(
                        f"{self.port} does not react: check that it is a board with MicroPython,"
                        " reset it, and deploy at once"
                    ) from error

    def run(self, code: str) -> list[str]:
        """Run code on the board → the lines it printed."""
        with self._tool_errors():
            return self._transport.exec(code).decode().splitlines()

    def read_state(self, paths: list[str]) -> BoardState:
        """Send deploy_functions.py, and read the board's state. paths: files and folders to read.

        Raises ToolError if microdps does not run on this board.
        """
        code = f"{ON_BOARD}\nreport({paths!r}, {USE!r})\n"
        with self._tool_errors():
            try:
                lines = self._transport.exec(code).decode().splitlines()
            except TransportExecError as error:
                self._check_firmware(error.status_code.decode().splitlines())
                raise
        self._check_firmware(lines)
        state = BoardState()
        for line in lines[1:]:
            kind, _, rest = line.partition(" ")
            if kind == "file":
                checksum, _, path = rest.partition(" ")
                state.files[path] = checksum
            elif kind == "use":
                state.use = rest.strip()
            elif kind == "unslotted":
                state.unslotted = True
            else:
                state.free = int(rest)
        return state

    def _check_firmware(self, lines: list[str]) -> None:
        """Check the first line of deploy_functions.py: name and version. Raises ToolError."""
        try:
            name, version = ast.literal_eval(lines[0])
        except (IndexError, ValueError, SyntaxError):
            name, version = "another firmware", ()
        if name != "micropython" or version[:2] < OLDEST:
            found = ".".join(map(str, version[:3]))
            raise ToolError(
                f"{self.port} runs {name} {found}: flash MicroPython"
                f" {'.'.join(map(str, OLDEST))} or newer"
            )

    def write(self, path: str, content: bytes) -> Iterator[int]:
        """Write a file → the number of bytes written, after each call of the board."""
        code = f"_f = open({path!r}, 'wb')\n"
        for at in range(0, max(1, len(content)), CHUNK):
            chunk = content[at : at + CHUNK]
            code += f"_f.write(binascii.a2b_base64({base64.b64encode(chunk)!r}))\n"
            if at + CHUNK >= len(content):
                code += "_f.close()"
            self.run(code)
            code = ""
            yield len(chunk)

    def reset(self) -> None:
        """Restart the board. It does not answer."""
        with self._tool_errors():
            self._transport.exec_raw_no_follow("import machine; machine.reset()")

    def restart_program(self) -> None:
        """Restart the program with a soft reset, if the board can still be reached."""
        with contextlib.suppress(OSError):
            self._transport.serial.write(b"\r\x03\x02\x04")  # Ctrl-C, Ctrl-B, Ctrl-D

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closing fails if the port is gone
            self._transport.close()
