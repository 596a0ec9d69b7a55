"""The board behind the serial port: a process of MicroPython's Unix port for each reset."""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import time
from pathlib import Path

from .. import ToolError, interpreter

FOLDER = Path(__file__).parent
START = FOLDER / "start.py"
FAKE_MODULES = FOLDER / "fake_modules"

# start.py prints these bytes. Nobody else sees them.
STARTED = b"\x16"  # from now on, Ctrl-C can interrupt the code
FINISHED = b"\x17"  # the REPL comes next

# The last bytes that the raw and the friendly REPL print when they start.
RAW = b"raw REPL; CTRL-B to exit\r\n>"
FRIENDLY = b'Type "help()" for more information.\r\n'
CTRL_A, CTRL_C = b"\x01", b"\x03"

# Reset causes, with the numbers of fake_modules/machine.py and of the ESP32.
POWER_ON, HARD_RESET, SOFT_RESET = 1, 2, 5

# How long an interrupt waits for a good moment, and how often it looks.
SETTLE_S = 0.2
SETTLE_STEP_S = 0.001

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Board:
    """A board that takes bytes from a serial line, and returns the bytes that it prints.

    flash  file with its littlefs. Its folder is the process's working folder, so the fake module
           esp32 reads nvs.bin there
    heap   as MicroPython's Unix port takes it

    At a reset the process ends. If it was killed, as by machine.reset(), a new one starts as after
    a hard reset. If it ended in any other way, a new one starts as after a soft reset, in the same
    REPL as before.
    """

    def __init__(self, flash: Path, heap: str):
        self._flash = flash.absolute()
        self._command = [*interpreter.micropython(heap).command, "-i", str(START)]
        self._raw = False
        # The UART's receive buffer. Bytes in it survive a soft reset.
        self._received, self._input = os.pipe()
        os.set_blocking(self._input, False)
        self._waiting = b""
        self._start(POWER_ON)

    def fileno(self) -> int:
        """Readable when read() has something to do."""
        return self._output

    def _start(self, cause: int) -> None:
        self._output, end = os.pipe()
        self._process = subprocess.Popen(
            [*self._command, str(self._flash), str(FAKE_MODULES), self._mode],
            cwd=self._flash.parent,
            stdin=self._received,
            stdout=end,
            stderr=end,
            env={"PATH": os.defpath, "RESET_CAUSE": str(cause)},
            preexec_fn=_prepare,
            start_new_session=True,
        )
        os.close(end)
        # Marks to look for in the output, in this order, and whether to show the text before each.
        self._expected = [(STARTED, False), (FINISHED, True)]
        self._unshown = b""
        self._tail = b""
        if self._raw:
            self._expected.append((RAW, False))
            self._send(CTRL_A)  # the REPL reads it when it starts

    @property
    def _mode(self) -> str:
        return "raw" if self._raw else "friendly"

    @property
    def _is_started(self) -> bool:
        return (STARTED, False) not in self._expected

    def write(self, data: bytes) -> None:
        """Take bytes from the serial line. As on a board, bytes are lost if the buffer is full."""
        if not self._is_started:
            self._waiting += data
            return
        text, *interrupts = data.split(CTRL_C)
        self._send(text)
        for text in interrupts:
            self._send(text if self._interrupt() else CTRL_C + text)

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._input, data)

    def _interrupt(self) -> bool:
        """Interrupt the running code. False if no code runs: then Ctrl-C is a character.

        MicroPython catches SIGINT while code runs. At the prompt, SIGINT would end the process. So
        the process is stopped while this looks at it, and cannot change between look and signal.
        """
        if self._process.poll() is not None:
            return False
        pid = self._process.pid
        self._settle()
        os.kill(pid, signal.SIGSTOP)
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self._process.returncode = os.waitstatus_to_exitcode(status)
            return False
        state = Path(f"/proc/{pid}/status").read_text().split("\n")
        (caught,) = [int(line.split()[1], 16) for line in state if line.startswith("SigCgt:")]
        running = bool(caught >> (signal.SIGINT - 1) & 1)
        if running:
            os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGCONT)
        return running

    def _settle(self) -> None:
        """Wait briefly until MicroPython waits for something.

        A signal in the middle of malloc() can hang the Unix port for ever. Code that computes
        without a pause is interrupted anyway.
        """
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            state = (
                Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0]
            )
            if state != "R":
                return
            time.sleep(SETTLE_STEP_S)

    def read(self) -> bytes:
        """The board's output. If the process has ended, this starts the next one.

        Raises ToolError if MicroPython cannot start.
        """
        data = os.read(self._output, 4096)
        return self._without_marks(data) if data else self._restart()

    def _without_marks(self, data: bytes) -> bytes:
        """The output to show: without the marks, and without the text that is not to be shown."""
        shown = b""
        self._unshown += data
        while self._expected:
            mark, show = self._expected[0]
            before, found, after = self._unshown.partition(mark)
            if show:
                shown += before
            if not found:
                if show:
                    self._unshown = b""
                return shown
            del self._expected[0]
            self._unshown = after
            if mark == STARTED:
                waiting, self._waiting = self._waiting, b""
                self.write(waiting)
            elif mark == RAW:
                shown += RAW
        data, self._unshown = self._unshown, b""
        self._note_repl(data)
        return shown + data

    def _note_repl(self, data: bytes) -> None:
        """Note which REPL the board is in: the last one that announced itself."""
        seen = self._tail + data
        last = max(RAW, FRIENDLY, key=seen.rfind)
        if last in seen:
            self._raw = last == RAW
        self._tail = seen[-len(FRIENDLY) :]

    def _restart(self) -> bytes:
        """Start the next process after a reset → the output to show."""
        was_started = self._is_started
        output = self._unshown
        os.close(self._output)
        code = self._process.wait()
        if not was_started:
            raise ToolError(
                f"MicroPython does not start with {self._flash} (code {code}):"
                f" {output.decode(errors='replace').strip()}; delete that file, or name another"
            )
        unread = b""
        if select.select([self._received], [], [], 0)[0]:
            unread = os.read(self._received, 1 << 16)
        if code == -signal.SIGKILL:
            self._raw = False
            self._start(HARD_RESET)
            return b""
        self._waiting = unread
        self._start(SOFT_RESET)
        return b"MPY: soft reboot\r\n"

    def close(self) -> None:
        """Switch the board off."""
        self._process.kill()
        self._process.wait()
        for end in (self._output, self._input, self._received):
            os.close(end)


_libc = ctypes.CDLL(None)


def _prepare() -> None:
    """Runs in the new process: it dies with this program, and ignores SIGINT until it starts."""
    os.umask(0o077)  # it writes non-volatile storage, with keys in it
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
