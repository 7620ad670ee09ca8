"""This computer: files, streams, processes, signals and exit codes."""
