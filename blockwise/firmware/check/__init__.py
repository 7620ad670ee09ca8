"""Firmware beside the simulation: what is asked of it, and what comes back."""
