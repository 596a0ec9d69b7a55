"""The report of a live check hides IDs, and names of instances."""

import json

from microdps_tools.device.live_report import Report


def test_ids_are_hidden_in_every_case_and_place(tmp_path):
    report = Report()
    report.hide("hub", "My-Hub.azure-devices.net:443")
    report.hide("device_id", "pump")
    report.hide("registration_id", "pump-7")
    report.hide("host", "global.azure-devices-provisioning.net")
    text = "PUMP-7 as pump on my-hub.azure-devices.net by global.azure-devices-provisioning.net"
    report.add("step", text=text, guid="8ad0463c-0000-1111-2222-333344445555")
    report.write(tmp_path / "report.json")
    (step,) = json.loads((tmp_path / "report.json").read_text())["steps"]
    assert step["text"] == (
        "<registration_id> as <device_id> on <hub>.azure-devices.net"
        " by global.azure-devices-provisioning.net"
    )
    assert step["guid"] == "<guid>"


def test_short_and_quoted_ids(tmp_path):
    report = Report()
    report.hide("registration_id", "e:1")
    report.hide("id_scope", "t")
    report.add("step", text="PUT x/t/registrations/e%3A1: 202 of e:1, the rest stays")
    report.write(tmp_path / "r")
    (step,) = json.loads((tmp_path / "r").read_text())["steps"]
    ids = "<id_scope>/registrations/<registration_id>"
    assert step["text"] == f"PUT x/{ids}: 202 of <registration_id>, the rest stays"
