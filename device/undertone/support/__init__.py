"""What the other folders use: a sandbox process, silenced native output, printable text, SVG."""
