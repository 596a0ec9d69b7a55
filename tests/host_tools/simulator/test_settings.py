"""What the documents leave open can be read in another way: a switch for each."""

import pytest

from helpers.by_hand import enrolled_device
from helpers.dps_calls import Caller, record
from helpers.simulators import enrolled, start_simulator
from microdps_tools.certs.encoding import pem_files
from microdps_tools.certs.making import issue
from microdps_tools.certs.reading import load_cert_and_key
from microdps_tools.files import write_files


def of_root(simulator, tmp_path, name):
    """A device whose verified root is not sent: leaf and intermediate only."""
    root = load_cert_and_key(
        simulator.folder / "certs" / "root.cert.pem", simulator.folder / "certs" / "root.key.pem"
    )
    middle = issue(f"{name} CA", root, ca=True)
    write_files(tmp_path / name, pem_files("middle", middle))
    simulator.verify_ca(f"{name}-root", simulator.folder / "certs" / "root.cert.pem")
    text = (tmp_path / name / "middle.cert.pem").read_text()
    simulator.service.put(
        "enrollmentGroups", f"{name}-group", record("enrollmentGroups", f"{name}-group", text)
    )
    simulator.write_identity(name, issue(name, middle), [middle.cert])
    device = enrolled_device(simulator, f"{name}-unused")
    device.name = name
    device.cert = (simulator.made(name) / "full-chain.pem", simulator.made(name) / "key.pem")
    return device


def test_verified_root_that_is_not_sent(simulator, tmp_path):
    device = of_root(simulator, tmp_path, "not-sent")
    assert device.register().status_code == 401


def test_other_readings(tmp_path):
    options = ("--verified-ca=stored", "--unknown-device=404201")
    with start_simulator(tmp_path, *options) as at:
        simulator = enrolled(tmp_path, at)
        assert of_root(simulator, tmp_path, "stored").provision()["status"] == "assigned"
        simulator.write_identity("stranger", issue("stranger"))
        stranger = Caller(simulator, "unused")
        folder = simulator.made("stranger")
        path = f"{simulator.id_scope}/registrations/stranger/register"
        answer = stranger("PUT", path, cert=(folder / "full-chain.pem", folder / "key.pem"))
        assert (answer.status_code, answer.json()["errorCode"]) == (404, 404201)
        wrong = Caller(simulator, "unused-2")
        answer = wrong("PUT", path)  # a certificate for another ID is still 401002
        assert (answer.status_code, answer.json()["errorCode"]) == (401, 401002)


@pytest.mark.parametrize("option", ["--verified-ca=no", "--group-device=x", "--unknown-device=1"])
def test_wrong_value(option, capsys):
    from microdps_tools.__main__ import parser

    with pytest.raises(SystemExit):
        parser().parse_args(["simulate", option])
    assert "invalid choice" in capsys.readouterr().err
