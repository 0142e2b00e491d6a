"""Training: data set, targets, the training of one run, and its calibration."""
