"""Trying to break losses: what to draw, and what the truth is."""
