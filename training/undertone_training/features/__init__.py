"""From clips to MFCC: waveform augmentation, and a cache on the disk."""
