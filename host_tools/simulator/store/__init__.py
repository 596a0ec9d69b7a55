"""The simulator's state, in SQLite."""
