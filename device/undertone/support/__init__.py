"""Small tools: a sandbox process, native output, printable text, TOML, suggestions, SVG."""
