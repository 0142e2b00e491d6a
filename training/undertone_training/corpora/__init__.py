"""The corpora of acted emotions that can be used, found by their published file names."""

from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.corpora.scan import CORPORA, Problem, Scan, scan
from undertone_training.corpora.table import table

__all__ = ["CORPORA", "AudioRef", "Clip", "Problem", "Scan", "scan", "table"]
