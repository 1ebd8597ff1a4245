"""The expression IR: types, operators, expressions. Imports nothing else of the package but errors."""
