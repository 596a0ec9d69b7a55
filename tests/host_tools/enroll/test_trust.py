"""--ca takes a root in every form, and names a file that is none."""

import pytest

from microdps_tools.certs import encoding
from microdps_tools.certs.reading import load_certs
from microdps_tools.enroll.trust import trusted_file


@pytest.mark.parametrize("form", ["pem", "der", "utf-16"])
def test_root_in_every_form(enrolling, key_file, simulator, tmp_path, form):
    (cert,) = load_certs(simulator.root)
    forms = {"pem": encoding.pem(cert), "der": encoding.der(cert)}
    forms["utf-16"] = forms["pem"].decode().encode("utf-16")
    (tmp_path / "root").write_bytes(forms[form])
    done = enrolling("list", "--connection-string-file", key_file, ca=tmp_path / "root")
    assert (done.code, done.err) == (0, "")


def test_plain_pem_is_used_as_it_is(simulator):
    assert trusted_file(simulator.root) == str(simulator.root)
    assert trusted_file(None) is True


@pytest.mark.parametrize("content", [None, b"", b"hello"])
def test_file_that_is_no_root_is_named(enrolling, key_file, tmp_path, content):
    file = tmp_path / "root"
    if content is not None:
        file.write_bytes(content)
    refusal = enrolling("list", "--connection-string-file", key_file, ca=file).refusal
    assert f"cannot read a certificate from {file}" in refusal
