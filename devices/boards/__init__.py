"""The boards: their RAM, flash and core, built in or from a profile of the user's own."""
