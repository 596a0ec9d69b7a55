"""microdps monitor passes on what a board prints, until Ctrl-C."""

import os
import select
import signal
import subprocess
import sys
import time
import tty

from microdps_tools import CHECKOUT

MODULE = (sys.executable, "-m", "microdps_tools")


def test_output_is_passed_on_until_ctrl_c():
    here, there = os.openpty()
    tty.setraw(there)
    with subprocess.Popen(
        [*MODULE, "monitor", os.ttyname(there)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as run:
        try:
            deadline = time.monotonic() + 20
            while not select.select([run.stdout], [], [], 0.1)[0]:
                assert time.monotonic() < deadline
                os.write(here, "21 °C\r\n".encode())  # lost until the port is open
            assert run.stdout.readline() == "21 °C\r\n".encode()
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=20)
        finally:
            run.kill()
            os.close(here)
            os.close(there)
    assert (run.returncode, err) == (130, b"microdps: stopped\n")
    assert set(out.split(b"\r\n")) <= {"21 °C".encode(), b""}


def test_port_that_is_not_there(command):
    refusal = command("monitor", "/dev/nope").refusal
    assert refusal.startswith("microdps: cannot open /dev/nope: there is no such port")
    assert "check its name" in command("monitor", "nonsense://x").refusal
