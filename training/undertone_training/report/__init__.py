"""The report of a model: figures, pictures, one page, and the model card."""

from undertone_training.report.card import model_card
from undertone_training.report.write import write_report

__all__ = ["model_card", "write_report"]
