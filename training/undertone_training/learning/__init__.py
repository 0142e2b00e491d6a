"""Training: data set, targets, the fitting of one run, and its calibration."""
