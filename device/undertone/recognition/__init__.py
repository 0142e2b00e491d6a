"""From blocks of samples to verdicts: speech gate, MFCC, windows, classifier, decision."""
