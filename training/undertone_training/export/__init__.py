"""From a trained run to a bundle: int8 conversion, the quality checks, the folder that ships."""
