"""What a search has done, in one SQLite file: its events, its candidates, the work in progress, every evaluation."""
