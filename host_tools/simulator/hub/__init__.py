"""The simulated IoT hub."""
