"""The other side of a simulated hub: messages for devices, a live view, twins, direct methods."""

# Where a simulator's page is, unless it says another address.
DEFAULT_PAGE = "http://localhost:8442/"
