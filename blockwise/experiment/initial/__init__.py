"""Trained weights that a training starts from: read from a run or a file, matched, put in, kept beside it."""
