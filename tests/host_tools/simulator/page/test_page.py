"""The page over HTTP: its files, headers and methods, and the clients that it refuses."""

import pytest

from helpers.pages import raw, refused
from microdps_tools import CHECKOUT
from microdps_tools.simulator.page.page import FILES


@pytest.mark.parametrize("path", FILES)
def test_files_have_their_types_and_run_no_code_from_elsewhere(many, path):
    status, headers, body = raw(many, "GET", path)
    name, kind = FILES[path]
    assert status == 200
    assert body == (CHECKOUT / "host_tools/simulator/page/static" / name).read_bytes()
    assert headers["content-type"] == kind
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy and "style-src 'self';" in policy
    assert "unsafe" not in policy and "http" not in policy


@pytest.mark.parametrize(
    "path",
    ["/index.html", "/api", "/api/", "/api/devices/", "/../store.py", "//", "/page/page.js", "/x"],
)
def test_unknown_path(many, path):
    refused(raw(many, "GET", path), 404)


@pytest.mark.parametrize("path", ["/", "/page.js", "/api/devices", "/api/overview"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_methods_that_change_something_are_refused(many, method, path):
    answer = raw(many, method, path)
    refused(answer, 405)
    assert answer[1]["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/", "/page.css", "/api/devices", "/api/none"])
def test_head_is_get_without_the_body(many, path):
    status, headers, body = raw(many, "GET", path)
    again, same, nothing = raw(many, "HEAD", path)
    assert (again, nothing) == (status, b"")
    for kept in ("date", "server"):
        headers.pop(kept, None), same.pop(kept, None)
    assert same == headers
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8442", "127.0.0.1", "127.0.0.1:1", "[::1]:8442"]
)
def test_this_machines_own_names_are_accepted(many, host):
    assert raw(many, "GET", "/api/overview", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        *("example.com", "example.com:8442", "localhost.example.com", "127.0.0.1.example.com:80"),
        *("", "::1", "192.168.1.20:8442", "localhost:80:80", "user@localhost"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/overview", "/x"])
def test_other_hosts_are_refused(many, host, path):
    refused(raw(many, "GET", path, Host=host), 403)


def test_resource_below_the_page_answers_by_itself(many):
    assert raw(many, "GET", "/other", Host="example.com")[::2] == (200, b"other")


def test_known_etag_gets_304(many):
    status, headers, _ = raw(many, "GET", "/api/devices")
    assert status == 200
    again = raw(many, "GET", "/api/devices", **{"If-None-Match": headers["etag"]})
    assert again[::2] == (304, b"")
    assert raw(many, "GET", "/api/devices", **{"If-None-Match": '"x"'})[0] == 200
