"""microdps enroll --dry-run prints the Azure CLI's commands."""

import shlex


def test_dry_run_prints_the_command_and_needs_no_secret(enrolling, cert, ca_cert, rest):
    file, name = cert
    done = enrolling("individual", name, "--cert", file, "--device-id", "t(7)", "--dry-run")
    words = shlex.split(done.out)
    assert words[:5] == ["az", "iot", "dps", "enrollment", "create"]
    assert words[words.index("--enrollment-id") + 1] == name
    assert words[words.index("--certificate-path") + 1] == str(file)
    assert words[words.index("--device-id") + 1] == "t(7)"
    assert rest("GET", f"enrollments/{name}").status_code == 404
    done = enrolling("group", "g-1", "--ca-name", "my-ca", "--dry-run")
    assert "enrollment-group create" in done.out
    assert "--ca-name my-ca" in done.out
    assert "enrollment delete" in enrolling("delete", "individual", name, "--dry-run").out
    options = ["--allocation-policy", "geoLatency", "--reprovision-policy", "migrate"]
    file = ca_cert[0]
    options += ["--iot-hub", "one", "--iot-hub", "two", "--disabled", "--secondary-cert", file]
    words = shlex.split(enrolling("group", "g", "--cert", file, *options, "--dry-run").out)
    options = dict(zip(words[5::2], words[6::2], strict=True))
    assert options["--allocation-policy"] == "geolatency"
    assert options["--reprovision-policy"] == "reprovisionandmigratedata"
    assert options["--iot-hubs"] == "one two"
    assert options["--provisioning-status"] == "disabled"
    assert options["--secondary-certificate-path"] == str(file)
    done = enrolling("ca", "my-ca", "--cert", file, "--prove", "--key", "k.pem", "--dry-run")
    assert [line.split()[4] for line in done.out.splitlines()] == [
        "create",
        "generate-verification-code",
        "verify",
    ]
