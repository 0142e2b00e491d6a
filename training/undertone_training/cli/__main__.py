"""``python -m undertone_training.cli``."""

from undertone_training.cli import main

main()
