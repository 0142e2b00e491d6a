"""The report on a model: figures, charts, a page with all of it, and the model card."""

from undertone_training.report.card import model_card
from undertone_training.report.write import write_report

__all__ = ["model_card", "write_report"]
