"""The name that the simulator listens for."""

import requests

from helpers.by_hand import TIMEOUT_S, enrolled_device
from helpers.raw_mqtt import hub_client
from helpers.simulators import enrolled, start_simulator


def test_case_of_the_host_has_no_meaning(tmp_path):
    with start_simulator(tmp_path, "--host=LocalHost") as at:
        simulator = enrolled(tmp_path, at)
        device = enrolled_device(simulator, "device-01")
        device.provision()
        with hub_client(simulator, "device-01"):
            answer = requests.get(f"{simulator.page}api/devices", timeout=TIMEOUT_S).json()
            assert [one["connected"] for one in answer["devices"]] == [True]
            simulator.admin("GET", "twins?deviceId=device-01")
            call = {"deviceId": "device-01", "hub": answer["devices"][0]["hub"], "body": "x"}
            assert simulator.admin("POST", "devicebound", call)["waiting"] == 1
