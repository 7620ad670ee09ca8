"""Adapting to a person: train on the others, deploy, train on; every way to do so, measured and recorded."""
