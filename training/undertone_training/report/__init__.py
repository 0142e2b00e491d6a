"""The report on a model: figures, charts, a page with all of it, and the model card."""
