"""``python -m undertone.cli``."""

from undertone.cli import main

main()
