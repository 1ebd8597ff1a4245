"""How candidates are trained: many networks at once."""
