"""Certificates: keys, making, reading, showing, converting and renewing them."""
