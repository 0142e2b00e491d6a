"""Undertone as a systemd service: its unit, its installation, and its messages to systemd."""
