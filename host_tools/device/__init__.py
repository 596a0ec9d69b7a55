"""One device's folder: its configuration, its checks, and its program on this computer."""
