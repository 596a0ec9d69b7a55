"""The other side of a simulated hub: messages for devices, a live view, twins, direct methods."""
