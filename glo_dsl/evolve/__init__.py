"""Search for losses: expressions evolved in a hole, constants tuned, winners measured honestly."""
