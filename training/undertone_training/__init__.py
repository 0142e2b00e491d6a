"""Undertone's training program: corpora in, a bundle for the device out."""
