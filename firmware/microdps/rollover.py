"""The device's two identities: slot a, and slot b for the certificate that follows the first.

A newer identity in the other slot is tried when the program starts. Once DPS and the hub have
accepted it, the state file names its slot: one file replaced is the switch. If it is refused, that
is reported, the old one goes on, and the same certificate is not tried again. Until the switch a
power cut changes nothing: the next start tries again.

A slot is the folder identity/a or identity/b, or the namespace microdps or microdps_b of the
non-volatile storage.
"""

import binascii

from micropython import const

from microdps import backoff, certificate, state
from microdps.errors import IdentityError, LinkError, ServiceError
from microdps.identity import Identity

NAMESPACES = {"a": "microdps", "b": "microdps_b"}

# Failures of a trial for other reasons, a lost network for one, until the old identity goes on.
_PATIENCE = const(3)


def load(slot: str) -> Identity:
    """The identity of a slot, from files, else from NVS. Raises IdentityError."""
    folder = "identity/" + slot
    try:
        return Identity.from_files(folder)
    except IdentityError as error:
        if error.args != ("missing", folder + "/key.der"):
            raise
        missing = error
    try:
        return Identity.from_nvs(NAMESPACES[slot])
    except ImportError:  # no ESP32
        raise missing
    except IdentityError as error:
        raise missing if error.args[0] == "missing" else error


class Slots:
    """The device, with the identity to use, and whether that is on trial.

    path   of the state file
    owner  as microdps.state.owner() gives it
    make   a function that is handed an identity and a path or None for the state, and returns a
           microdps.device.Device
    say    a function that is handed a line of text

    device  with the identity in use
    slot    "a" or "b": where that identity lies
    expiry  the last moment of its certificate, as certificate.validity() gives it
    trial   is it on trial?

    Raises IdentityError if neither slot holds an identity that can be used.
    """

    def __init__(self, path: str, owner: str, make, say):
        self._path = path
        self._make = make
        self._say = say
        self._failures = 0
        self.trial = False
        try:
            kept = state.load(path, owner)
        except state.StateError:  # the device reports it
            kept = {}
        first, second = ("b", "a") if kept.get("slot") == "b" else ("a", "b")
        try:
            begin = self._use(first)
        except IdentityError as error:
            try:
                self._use(second)
            except IdentityError:
                raise error
            say("error: %s" % error)
            self.device = make(self._identity, path)
            return
        self._old = first
        try:
            if self._use(second) > begin and self._mark() != kept.get("refused"):
                say("certificate: trying the newer one in slot " + second)
                # Without the state file: what the old one has must not be lost.
                self.device = make(self._identity, None)
                self.trial = True
                return
        except IdentityError as error:
            if error.args[0] != "missing":
                say("error: %s" % error)
        self._use(first)
        self.device = make(self._identity, path)

    def _use(self, slot: str) -> str:
        """Take the identity of a slot → the moment from which its certificate is valid."""
        identity = load(slot)
        begin, self.expiry = certificate.validity(identity.certs("cert")[0], identity.name("cert"))
        self.slot = slot
        self._identity = identity
        return begin

    def _mark(self) -> int:
        """What tells the certificate in use from others."""
        return binascii.crc32(self._identity.certs("cert")[0]) & 0xFFFFFFFF

    def _adopt(self, kept: dict):
        """Keep the device's state in the file from now on, and what else is to be kept with it."""
        session = self.device._session
        session.kept.update(kept)
        session.changed = True
        self.device._state = self._path
        self.device._keep()

    def accepted(self):
        """The hub has accepted a message."""
        if self.trial:
            self.trial = False
            self._adopt({"slot": self.slot, "refused": None})
            self._say("certificate: the one in slot %s is in use now" % self.slot)

    def failed(self, error):
        """A message was not accepted. An identity on trial is given up for the old one if it was
        refused, if the peer ended the handshake, or after some failures of another kind."""
        if not self.trial:
            return
        refused = (
            isinstance(error, ServiceError)
            and error.status in (200, 400, 401, 403, 404)
            and error.error_code not in backoff.QUOTA
        )
        broken = isinstance(error, LinkError) and error.args[0] in ("handshake", "alert")
        self._failures += 1
        if not refused and not broken and self._failures < _PATIENCE:
            return
        self._say("error: certificate in slot %s given up: %s" % (self.slot, error))
        mark = self._mark()
        self.trial = False
        self.device.close()
        self._use(self._old)
        self.device = self._make(self._identity, self._path)
        if refused:
            self._adopt({"refused": mark})
