"""Check the error of a program, and the time that it took."""


def expect(result, kind: str, code: str, *words: str, within_ms: int = 8000) -> None:
    """Check an error: its class and code, the time it took, and words in its text."""
    assert result.error[:2] == [kind, code], result.lines
    assert int(result.error[2]) <= within_ms
    for word in words:
        assert word in result.text
