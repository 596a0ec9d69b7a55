"""network: a Wi-Fi with one access point. The password "wrong" never joins."""

STA_IF = 0


class WLAN:
    """One station, however often it is made, as on the board."""

    IF_STA = 0

    _state = {"active": False, "polls": None}  # isconnected() calls until joined; None: not trying

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
        self._state["polls"] = -1 if key == "wrong" else 3

    def isconnected(self):
        if self._state["polls"]:
            self._state["polls"] -= 1
        return self._state["polls"] == 0

    def ifconfig(self):
        return ("192.0.2.2", "255.255.255.0", "192.0.2.1", "192.0.2.1")  # RFC 5737
