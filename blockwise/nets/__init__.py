"""Networks in blocks: chains of units, cuts, the anatomy that is planned, the modules that are trained."""
