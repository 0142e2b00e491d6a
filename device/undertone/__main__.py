"""``python -m undertone``."""

from undertone.cli import main

main()
