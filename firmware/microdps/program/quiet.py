"""The log at level "error"."""


def log(line: str):
    """Print a line if it tells an error."""
    if line[:5] == "error":
        print(line)
