"""Shared by all tests: interpreters, simulators and peers."""

import pytest

from helpers import peers
from helpers.simulators import enrolled, start_simulator
from microdps_tools import interpreter
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue


@pytest.fixture(params=["micropython", "cpython"])
def which(request) -> interpreter.Interpreter:
    """Each interpreter that can run the device's program."""
    return getattr(interpreter, request.param)()


@pytest.fixture(scope="session")
def micropython() -> interpreter.Interpreter:
    return interpreter.micropython()


@pytest.fixture(scope="session")
def simulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulator")
    with start_simulator(folder) as at:
        yield enrolled(folder, at)


@pytest.fixture(scope="session")
def late_simulator(tmp_path_factory):
    """A simulator whose hub asks for the certificate after the first request."""
    folder = tmp_path_factory.mktemp("late-simulator")
    with start_simulator(folder, "--hub-certificate", "renegotiate") as at:
        yield enrolled(folder, at)


@pytest.fixture
def peer(simulator, tmp_path, request, which):
    """A function that makes a server from a handler of its connections.

    Its attribute identity is the folder of an identity that trusts the server.
    """
    root = issue("peer root", ca=True)
    name = f"link-{abs(hash(request.node.name)) % 10**9}"
    identity = simulator.device(name)
    (identity / "roots.der").write_bytes(encoding.der(root.cert))
    context = peers.server_context(tmp_path, root)
    peers.require_client(context, simulator.intermediate)

    def serve(handle):
        return peers.listening(peers.tls(context, handle))

    serve.identity = identity
    return serve
