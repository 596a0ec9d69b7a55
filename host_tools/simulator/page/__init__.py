"""The simulator's web page, and its admin calls."""
