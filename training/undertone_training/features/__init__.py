"""From clips to MFCC: augmentation of the waveform, and a cache on disk."""
