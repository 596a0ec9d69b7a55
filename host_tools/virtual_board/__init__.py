"""The virtual board: a serial port with a real MicroPython behind it."""
