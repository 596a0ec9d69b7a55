"""Calls of a simulator that is not there, or refuses."""

import pytest

from helpers.by_hand import enrolled_device
from microdps_tools import ToolError
from microdps_tools.hub.admin_client import AdminClient


def test_no_simulator():
    with pytest.raises(ToolError, match="microdps simulate"):
        AdminClient("http://localhost:1/").last_number()


def test_address_of_something_else(simulator):
    with pytest.raises(ToolError, match="there is no simulator|refused"):
        AdminClient(f"{simulator.page}page.css?").last_number()


def test_refusal_says_why(simulator):
    client = AdminClient(simulator.page)
    with pytest.raises(ToolError, match="no hub has the device nobody"):
        client.twin("nobody", None)
    enrolled_device(simulator, "client-01").provision()
    with pytest.raises(ToolError, match="desired is missing"):
        client.change_twin("client-01", None, [])
