"""The reference study's experiments, each one file: measured here, rendered by the reports."""
