"""What several methods compute with: level sets, codebooks, nearest levels, powers of two, estimators."""
