"""How losses are proposed."""
