"""Boards at a serial port: flash images, flashing, deploying, status."""
