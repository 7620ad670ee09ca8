"""Networks in blocks: cuts, norms, the anatomy that is planned, and the modules that are trained."""
