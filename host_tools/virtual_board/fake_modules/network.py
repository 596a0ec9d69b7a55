"""Fake network: Wi-Fi with one access point. With the password "wrong password" it never joins."""

STA_IF = 0


class WLAN:
    """The station. All objects share one state, as on a board."""

    IF_STA = 0

    # polls: how many calls of isconnected() are left until it has joined; None: it does not try.
    _state = {"active": False, "polls": None}

    def __init__(self, interface_id):
        pass

    def active(self, is_active=None):
        if is_active is None:
            return self._state["active"]
        self._state["active"] = bool(is_active)
        if not is_active:
            self._state["polls"] = None
        return None

    def connect(self, ssid=None, key=None):
        if not self._state["active"]:
            raise OSError(-1, "Wifi Not Started")
        self._state["polls"] = -1 if key == "wrong password" else 3

    def isconnected(self):
        if self._state["polls"]:
            self._state["polls"] -= 1
        return self._state["polls"] == 0

    def ifconfig(self):
        return ("192.0.2.2", "255.255.255.0", "192.0.2.1", "192.0.2.1")  # RFC 5737
