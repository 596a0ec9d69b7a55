"""The word that a user may have meant is named."""

from microdps_tools.words import nearest


def test_nearest_word():
    assert nearest("flahs", ["flash", "deploy"]) == "; did you mean flash?"
    assert nearest("DEPLOI", ["flash", "Deploy"]) == "; did you mean Deploy?"
    assert nearest("xyz", ["flash", "deploy"]) == ""
