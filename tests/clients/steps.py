"""Shared by the clients in Python: say how each step went. Each has packages of its own.

Azure's names lead to the simulator, without /etc/hosts.
"""

import json
import os
import socket
import sys
import urllib.request

ADDRESS = os.environ["SIMULATOR_ADDRESS"]
ROOT = os.environ["SIMULATOR_ROOT"]
PAGE = os.environ["SIMULATOR_PAGE"]
TIMEOUT_S = 20

_resolve = socket.getaddrinfo


def _to_simulator(host, *rest, **options):
    name = host.decode() if isinstance(host, bytes) else host or ""
    return _resolve(ADDRESS if name.endswith(".net") else host, *rest, **options)


socket.getaddrinfo = _to_simulator


def run(steps) -> None:
    """Do steps, (name, function) each, in their order. What fails does not stop the next ones."""
    for name, step in steps:
        try:
            step()
            print(f"ok {name}", flush=True)
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            print(f"fail {name}: {text}", flush=True)
    sys.stdout.flush()
    os._exit(0)  # some clients leave threads behind


def admin(method: str, call: str, body=None):
    """Make an admin call → its answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{PAGE}admin/{call}", data, headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        return json.load(answer)


def check(condition, text="unexpected") -> None:
    if not condition:
        raise AssertionError(text)
