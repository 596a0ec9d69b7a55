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
STANDINS = FOLDER / "fake_modules"

UP = b"\x16"  # start.py: its code can be interrupted from now on
DONE = b"\x17"  # start.py: next comes the REPL
RAW = b"raw REPL; CTRL-B to exit\r\n>"
FRIENDLY = b'Type "help()" for more information.\r\n'
CTRL_A, CTRL_C = b"\x01", b"\x03"

# As stand-in and ESP32 number them.
POWER_ON, HARD_RESET, SOFT_RESET = 1, 2, 5

# How long an interrupt waits for a good moment, and how often it looks for one.
SETTLE_S = 0.2
LOOK_S = 0.001

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Board:
    """Takes what comes over the serial line; gives what the board prints.

    flash  file that holds its littlefs; the working folder of the process is where that lies, so
           the stand-in esp32 reads nvs.bin there
    heap   as MicroPython's Unix port takes it

    The process ends where a board resets: killed, as machine.reset() does, it starts as after a
    hard reset; ended in any other way, as after a soft reset, in the REPL that it was in.
    """

    def __init__(self, flash: Path, heap: str):
        self._flash = flash.absolute()
        self._command = [*interpreter.micropython(heap).command, "-i", str(START)]
        self._raw = False
        # What the UART has received and nobody has read: it survives a soft reset.
        self._received, self._input = os.pipe()
        os.set_blocking(self._input, False)
        self._waiting = b""
        self._start(POWER_ON)

    def fileno(self) -> int:
        """Readable when there is something to read()."""
        return self._output

    def _start(self, cause: int) -> None:
        self._output, end = os.pipe()
        self._process = subprocess.Popen(
            [*self._command, str(self._flash), str(STANDINS), self._mode],
            cwd=self._flash.parent,
            stdin=self._received,
            stdout=end,
            stderr=end,
            env={"PATH": os.defpath, "RESET_CAUSE": str(cause)},
            preexec_fn=_prepare,
            start_new_session=True,
        )
        os.close(end)
        # What to look for in its output, in order, and whether to show what comes before it.
        self._expected = [(UP, False), (DONE, True)]
        self._unseen = b""
        self._tail = b""
        if self._raw:
            self._expected.append((RAW, False))
            self._send(CTRL_A)  # read when the REPL starts

    @property
    def _mode(self) -> str:
        return "raw" if self._raw else "friendly"

    @property
    def _is_up(self) -> bool:
        return (UP, False) not in self._expected

    def write(self, data: bytes) -> None:
        """Take bytes from the serial line. As on a board, what its buffer cannot hold is lost."""
        if not self._is_up:
            self._waiting += data
            return
        text, *interrupts = data.split(CTRL_C)
        self._send(text)
        for text in interrupts:
            self._send(text if self._interrupted() else CTRL_C + text)

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._input, data)

    def _interrupted(self) -> bool:
        """Interrupt the code that runs; False if none does, so that Ctrl-C is a character.

        MicroPython catches SIGINT while code runs; at the prompt SIGINT would end it. The process
        is stopped for the look, so that it cannot change its mind in between.
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
        """Wait a moment until MicroPython waits for something. A signal in the middle of malloc()
        can hang the Unix port for ever; code that computes without end is interrupted anyway."""
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            state = (
                Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0]
            )
            if state != "R":
                return
            time.sleep(LOOK_S)

    def read(self) -> bytes:
        """What the board has printed; a reset is seen to here. Raises ToolError if it cannot
        start."""
        data = os.read(self._output, 4096)
        return self._shown(data) if data else self._ended()

    def _shown(self, data: bytes) -> bytes:
        shown = b""
        self._unseen += data
        while self._expected:
            mark, show = self._expected[0]
            before, found, after = self._unseen.partition(mark)
            if show:
                shown += before
            if not found:
                if show:
                    self._unseen = b""
                return shown
            del self._expected[0]
            self._unseen = after
            if mark == UP:
                waiting, self._waiting = self._waiting, b""
                self.write(waiting)
            elif mark == RAW:
                shown += RAW
        data, self._unseen = self._unseen, b""
        self._note_repl(data)
        return shown + data

    def _note_repl(self, data: bytes) -> None:
        """Which REPL is it in? The last one that said so."""
        seen = self._tail + data
        last = max(RAW, FRIENDLY, key=seen.rfind)
        if last in seen:
            self._raw = last == RAW
        self._tail = seen[-len(FRIENDLY) :]

    def _ended(self) -> bytes:
        was_up = self._is_up
        said = self._unseen
        os.close(self._output)
        code = self._process.wait()
        if not was_up:
            raise ToolError(
                f"MicroPython does not start with {self._flash} (code {code}):"
                f" {said.decode(errors='replace').strip()}; delete that file, or name another"
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
        """Switch it off."""
        self._process.kill()
        self._process.wait()
        for end in (self._output, self._input, self._received):
            os.close(end)


_libc = ctypes.CDLL(None)


def _prepare() -> None:
    """In the new process: it dies with this program, and Ctrl-C has no meaning yet."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
