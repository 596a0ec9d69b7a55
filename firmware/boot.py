"""Runs before main.py. Keeps the vendor's debug output off the serial line, where the log is."""

try:
    import esp
except ImportError:  # no ESP32
    pass
else:
    esp.osdebug(None)
