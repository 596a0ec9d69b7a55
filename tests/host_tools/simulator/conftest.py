"""Shared by the tests of the simulator: a store with enrolled certificates."""

import pytest

from helpers.chains import World
from microdps_tools.certs.making import issue
from microdps_tools.simulator.store.store import Store


@pytest.fixture
def world(tmp_path):
    root = issue("root", ca=True)
    store = Store(tmp_path)
    yield World(store, root, issue("intermediate", root, ca=True))
    store.close()


@pytest.fixture
def group(world):
    """A world whose intermediate is verified, and enrolled as a group."""
    world.upload(world.intermediate)
    world.enroll("group", "g", world.intermediate)
    return world


@pytest.fixture
def group_of_root(world):
    """A world whose root is verified, and enrolled as a group."""
    world.upload(world.root)
    world.enroll("group", "r", world.root)
    return world
