"""Events in files that survive a power cut: writing, reading, retention, export."""
