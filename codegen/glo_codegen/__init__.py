"""How a Program is printed: one module per target. Imports the standard library only."""
