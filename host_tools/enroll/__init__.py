"""Enrollment with DPS: its service API, CA certificates, shared access signatures."""
