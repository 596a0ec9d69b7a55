"""Show what a board prints at its serial port."""

import sys
from typing import NoReturn

import serial  # type: ignore[import-untyped]

from .. import ToolError
from .ports import port_advice

# How long one read may wait, so that Ctrl-C is obeyed on every system.
WAIT_S = 0.2


def monitor(port: str, baud: int) -> NoReturn:
    """Pass on a board's output until Ctrl-C. The board is not reset. Raises ToolError."""
    try:
        # DTR and RTS would reset the board, so they are off before the port is opened.
        line = serial.serial_for_url(port, baud, timeout=WAIT_S, do_not_open=True)
        line.dtr = line.rts = False
        line.open()
    except (OSError, ValueError) as error:
        advice = port_advice(port) or "check its name, and end the other program that uses it"
        raise ToolError(f"cannot open {port}: {advice}") from error
    try:
        while True:
            data = line.read(max(1, line.in_waiting))
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
    except (OSError, TypeError) as error:  # pyserial's errors are OSErrors
        raise ToolError(f"the connection to {port} broke off: check the cable") from error
    finally:
        line.close()
