"""Text to IR and back: syntax, names and types, printing."""
