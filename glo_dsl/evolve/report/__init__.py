"""A search as one page of HTML: gathered from its study, drawn, and written; nothing in it is ever executed."""
