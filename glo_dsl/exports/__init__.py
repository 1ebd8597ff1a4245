"""Losses as texts that stand without glo-dsl: PyTorch, JAX, NumPy, SymPy, LaTeX; checked when they are made."""
