"""Resets, interrupts and power cuts of the virtual board."""

import os
import select
from pathlib import Path

from helpers.virtual_boards import listen


def test_soft_reset_runs_boot_but_not_main(own, tmp_path):
    for name in ("boot", "main"):
        (tmp_path / f"{name}.py").write_text(f"print('{name}.py runs')\n")
    own.copy(tmp_path, "boot.py", "main.py")
    own.mpremote("exec", "import sys; kept = 1")
    assert "NameError" in own.mpremote("soft-reset", "exec", "kept", code=1)
    cause = "import machine; print(machine.reset_cause() == machine.SOFT_RESET)"
    assert own.mpremote("soft-reset", "exec", cause) == "True\n"
    port = os.open(own.port, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(port, b"\x01")
        listen(port, "raw REPL; CTRL-B to exit\r\n>")
        os.write(port, b"\x04")
        shown = listen(port, "raw REPL; CTRL-B to exit\r\n>")
        assert shown.endswith("soft reboot\r\nboot.py runs\nraw REPL; CTRL-B to exit\r\n>"), shown
        os.write(port, b"\x02")
        listen(port, ">>> ")
        os.write(port, b"\x04")
        shown = listen(port, ">>> ")
        assert "MPY: soft reboot\r\nboot.py runs\nmain.py runs\nMicroPython" in shown
    finally:
        os.close(port)


def test_resume_keeps_variables(board):
    board.mpremote("exec", "kept = 42")
    assert board.mpremote("resume", "eval", "kept") == "42\n"


def test_hard_reset_runs_no_finally(own, tmp_path):
    (tmp_path / "main.py").write_text(
        "import machine, time\n"
        "print('cause', machine.reset_cause())\n"
        "try:\n"
        "    time.sleep(60)\n"
        "finally:\n"
        "    print('asked')\n"
    )
    own.copy(tmp_path, "main.py")
    own.mpremote("reset")
    own.mpremote("resume", "exec", "import os; os.stat('main.py')")
    assert "asked" not in own.until("cause", reset=True)
    own.mpremote("resume", "exec", "print(machine.reset_cause() == machine.HARD_RESET)")


def test_exit_of_main_is_a_soft_reset(own, tmp_path):
    (tmp_path / "main.py").write_text(
        "import os, sys\n"
        "print('main runs')\n"
        "if 'again' not in os.listdir():\n"
        "    open('again', 'w').close()\n"
        "    sys.exit()\n"
    )
    own.copy(tmp_path, "main.py")
    shown = own.until("soft reboot\r\nmain runs", reset=True)
    assert "Traceback" not in shown


def test_failing_boot_keeps_main_from_running(own, tmp_path):
    """As ports/esp32/main.c does since 1.22."""
    (tmp_path / "boot.py").write_text("1/0\n")
    (tmp_path / "main.py").write_text("print('main runs')\n")
    own.copy(tmp_path, "boot.py", "main.py")
    shown = own.until(">>> ", reset=True)
    assert 'File "boot.py", line 1' in shown
    assert "main runs" not in shown


def test_ctrl_c_interrupts_main(own, tmp_path):
    (tmp_path / "main.py").write_text("print('main runs')\nwhile True:\n    pass\n")
    own.copy(tmp_path, "main.py")
    own.until("main runs", reset=True)
    port = os.open(own.port, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(port, b"\x03")
        shown = listen(port, ">>> ")
    finally:
        os.close(port)
    assert "KeyboardInterrupt" in shown
    assert 'File "main.py", line ' in shown


def test_interrupts_do_not_damage_the_file_system(own):
    """Ctrl-C at any moment of a write."""
    code = (
        "n = 0\n"
        "while True:\n"
        "    with open('file%d' % (n % 7), 'wb') as f:\n"
        "        f.write(bytes([n & 255]) * 3000)\n"
        "    n += 1\n"
    )
    check = (
        "import os\n"
        "print(sum(1 for name in os.listdir() if len(set(open(name, 'rb').read())) < 2))\n"
    )
    for _ in range(4):
        own.mpremote("resume", "exec", "--no-follow", code)
        files = int(own.mpremote("resume", "exec", check))
    assert files == 7
    own.mpremote("exec", check)


def test_power_cut_ends_the_interpreter_too(own):
    pid = own.process.pid
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    watched = os.pidfd_open(int(child))
    try:
        own.kill()
        assert select.select([watched], [], [], 10)[0]
    finally:
        os.close(watched)
