"""One experiment: its configuration, what it names, the comparison, its result, folder and export."""
