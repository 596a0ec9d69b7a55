"""The simulated Device Provisioning Service (DPS)."""
