"""What several seeds, people or test images say: spreads, intervals, paired tests and ties."""
