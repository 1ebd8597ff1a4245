"""Programs to callables: building, caching, the calling contract, the standalone module."""
