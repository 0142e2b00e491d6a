"""The report of a model: figures, pictures, one page, and the model card."""
