"""From a checked loss to a Program: simplify, differentiate, lower, schedule."""
