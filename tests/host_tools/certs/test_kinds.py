"""Files that are neither certificates nor keys are named, with the command that helps."""

import pytest


@pytest.fixture
def other(files, run_openssl):
    """Write a file of another kind → its path."""
    base = run_openssl.folder

    def write(kind: str):
        path = base / f"given.{kind}"
        if kind.startswith("csr"):
            form = "DER" if kind.endswith("der") else "PEM"
            given = ("-key", files.key, "-subj", "/CN=a", "-outform", form, "-out", path)
            run_openssl("req", "-new", *given)
        elif kind.startswith("p7b"):
            form = "DER" if kind.endswith("der") else "PEM"
            run_openssl(
                "crl2pkcs7", "-nocrl", "-certfile", files.chain, "-outform", form, "-out", path
            )
        elif kind == "public":
            run_openssl("pkey", "-in", files.key, "-pubout", "-out", path)
        else:
            content = {
                "empty": b"",
                "text": b"hello",
                "cut": files.chain.read_bytes()[:-200],
                "cut-der": files.der[:-100],
                "html": b"<!DOCTYPE html><html></html>",
                "jks": b"\xfe\xed\xfe\xed\0\0\0\2",
                "zip": b"PK\x03\x04\0\0",
                "putty": b"PuTTY-User-Key-File-3: ecdsa-sha2-nistp256\n",
                "string": b"HostName=x.azure-devices.net;SharedAccessKey=AAAA",
                "az": b'{"etag": "x", "properties": {"certificate": "MI' + b"A" * 200 + b'"}}',
            }[kind]
            path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(
    ("kind", "name", "advice"),
    [
        ("csr", "a certificate request (CSR)", "openssl x509 -req -in {path} -CA"),
        ("csr.der", "a certificate request (CSR)", "openssl x509 -req -in {path} -CA"),
        ("p7b", "a PKCS#7 bundle", "openssl pkcs7 -in {path} -print_certs"),
        ("p7b.der", "a PKCS#7 bundle", "openssl pkcs7 -inform DER -in {path} -print_certs"),
        ("public", "a public key", "give the file with"),
        ("empty", "it is empty", "copy the file again"),
        ("text", "not PEM, DER or PKCS#12", "give the file"),
        ("cut", "cut off or damaged", "copy the whole file"),
        ("cut-der", "cut off or damaged", "copy the whole file"),
        ("html", "HTML or XML", "download"),
        ("jks", "a Java key store", "keytool -importkeystore"),
        ("zip", "a ZIP archive", "unpack"),
        ("putty", "a PuTTY key", "PuTTYgen"),
        ("string", "a connection string", "--connection-string-file"),
        ("az", "JSON, as the Azure CLI prints it", "--query properties.certificate --output tsv"),
    ],
)
def test_other_kinds_are_named(command, files, other, plain, tmp_path, kind, name, advice):
    path = other(kind)
    out = tmp_path / "o"
    as_cert = command("certs", "convert", path, "--key", files.key, "--out", out).refusal
    as_key = command("certs", "convert", files.chain, "--key", path, "--out", out).refusal
    for refusal in (as_cert, as_key):
        assert str(path) in refusal
        assert name in refusal
        plain(refusal)
    assert advice.format(path=path) in as_cert
    if kind.partition(".")[0] in ("csr", "p7b", "public"):
        assert "give the file with the private key" in as_key
    else:
        assert advice.format(path=path) in as_key
    assert not out.exists()


def test_key_and_certificate_mixed_up(command, files, tmp_path):
    out = tmp_path / "o"
    refusal = command("certs", "convert", files.chain, "--key", files.chain, "--out", out).refusal
    assert "it is a certificate: give the file with the private key" in refusal
    refusal = command("certs", "show", files.key).refusal
    assert "it is a private key" in refusal
