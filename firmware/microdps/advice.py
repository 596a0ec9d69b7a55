"""What each error code means and what to check: the one table, for the device and the host tools.

Loaded only when an error is shown. A code that is an Azure errorCode or an HTTP status of the hub
stands here as a number.
"""

_HUB_401 = (
    "the hub does not accept this certificate for this device",
    "that the device was not deleted or its certificate replaced in the hub (register anew), the"
    " clock, and whether this hub asks for the certificate late, which stock MicroPython refuses",
)
_QUOTA = (
    "the hub's daily quota of messages is used up",
    "the hub's tier and number of units; it begins anew at midnight UTC",
)
_LIMIT = "that this host is DPS or an IoT hub, and no proxy answers in its place"
_CONVERT = "that the file was made by 'microdps certs'"

# code: (what happened, what to check)
TABLE = {
    # ConfigError, IdentityError
    "missing": ("the file is missing or cannot be read", "the name, and that it was copied"),
    "json": ("this is no JSON object", "quotes and commas; with an answer, who answers there"),
    "missing-key": ("this key is missing", "the list of keys in firmware/README.md"),
    "unknown-key": ("there is no such key", "its spelling"),
    "type": ("the value is of the wrong type", 'quotes: "text", 60, {"ssid": …}'),
    "value": ("the value is not allowed", "the list of keys in firmware/README.md"),
    "not-der": ("this is no DER of the expected kind", _CONVERT),
    "pem": ("this is PEM, the device reads DER", _CONVERT),
    "key-encoding": ("the key is neither SEC1 nor PKCS#1", _CONVERT),
    "mismatch": ("the key is not the certificate's own", "that both come from one folder"),
    "unreadable": ("TLS cannot read this file", _CONVERT + ", EC P-256 or RSA"),
    "chain-limit": ("the chain is over the 4096 bytes that TLS can send", "for smaller keys: EC"),
    "file-limit": ("the file is over 8192 bytes", _CONVERT),
    # StateError
    "damaged": ("the state file is damaged and counts as none", "the flash, if it happens again"),
    "foreign": (
        "the state file is another device's and counts as none",
        "nothing, if you moved it",
    ),
    # LinkError
    "wifi": ("the Wi-Fi was not joined within 20 s", "ssid, password, 2.4 GHz, and the distance"),
    "ntp": ("no time server answers", "that the network lets UDP port 123 out"),
    "clock": (
        "the clock is not set, so no certificate is valid",
        "NTP: UDP port 123 must be open",
    ),
    "dns": ("no address for this name", "the host in config.json, and the network's DNS"),
    "connect": ("the connection was refused", "host and port, and whether a firewall is between"),
    "timeout-connect": ("no answer to connecting in time", "host and port, and the network"),
    "timeout-handshake": ("the TLS handshake stalled", "that a TLS server is on this port"),
    "timeout-answer": ("no complete answer in time", "the network, or try again later"),
    "server-certificate": (
        "the server's certificate was refused",
        "roots.der (is its root in there?), the host name, the clock, and the server's dates",
    ),
    "handshake": (
        "the TLS handshake failed",
        "that this is a TLS server, that it speaks TLS 1.2 with ECDHE and AES, and that it does"
        " not refuse the device's certificate (expired, not yet valid, unknown issuer)",
    ),
    "alert": (
        "the server broke off with a TLS alert",
        "the device's certificate (dates, chain, key), and whether the server asks for it late",
    ),
    "closed": ("the connection was closed without an answer", "the network, or try again later"),
    "broken": ("the TLS connection broke", "the network, or try again later"),
    "late-certificate": (
        "this hub asks for the certificate late, which stock MicroPython refuses",
        "README.md, 'Hubs that ask late': with transport auto a board goes by MQTT",
    ),
    # ProtocolError
    "no-http": ("this is no HTTP/1.1 answer", "host and port"),
    "line-end": ("a line of the answer does not end with CR LF", _LIMIT),
    "header": ("a header line of the answer is malformed", _LIMIT),
    "length": ("the answer says in no clear way how long it is", _LIMIT),
    "chunk": ("the chunks of the answer are malformed", _LIMIT),
    "limit": ("the answer does not fit the buffer", _LIMIT),
    "truncated": ("the answer ends too early", "the network, or try again later"),
    "redirect": ("a redirect leads to no https URL", _LIMIT),
    "redirects": ("more than 5 redirects", _LIMIT),
    "answer": ("a field of the answer is missing or wrong", _LIMIT),
    "mqtt": ("this is no answer of an IoT hub over MQTT", "host and port"),
    # ServiceError
    "connack": (
        "the hub refuses the connection by MQTT",
        "the certificate, the device in the hub, and that it is enabled",
    ),
    "deadline": ("DPS did not assign the device in time", "the allocation policy, or try later"),
    "failed": ("DPS could not assign the device", "the linked hubs and the allocation policy"),
    "disabled": ("the enrollment is disabled", "'Enable entry' of the enrollment"),
    400: ("the service calls the request malformed", "id_scope, registration_id and the data"),
    401: _HUB_401,
    401002: (
        "the certificate was not accepted",
        "that its CN is the registration ID, that it is within its dates, that every issuer up to"
        " the enrolled certificate is in cert.der, that the enrollment exists and is enabled, and"
        " the ID scope",
    ),
    "IotHubUnauthorizedAccess": _HUB_401,
    403002: _QUOTA,
    "IotHubQuotaExceeded": _QUOTA,
    403: ("the hub refuses this device for now", "that it is enabled in the hub"),
    404: ("the device or the resource is not there", "id_scope, and the device in the hub"),
    404201: ("there is no enrollment for this registration ID", "the enrollment and the ID scope"),
    413: ("the message is too large", "that it is below 256 KB"),
    429: ("too many requests", "the quota of the service; wait for Retry-After"),
    500: ("the service has an error", "Azure's status page, or try again later"),
}


def lookup(code):
    """The table's entry for a code: its own, or that of the HTTP status in an errorCode."""
    if isinstance(code, int) and code not in TABLE:
        if code > 999:
            code //= 1000
        if code >= 500:
            code = 500
    return TABLE.get(code, ("the service answered with an error", "its message"))


def text(error) -> str:
    """An error as one sentence: where, what happened, what to check, what the service said."""
    code, where = error.args
    status = getattr(error, "status", 0)
    happened, check = lookup(code if code in TABLE or isinstance(code, int) else status)
    line = "%s: %s. Check %s." % (where, happened, check)
    if status:
        line += " [HTTP %d" % status
        for name, value in (
            ("errorCode", error.error_code),
            ("message", error.message),
            ("tracking ID", error.tracking_id),
        ):
            if value:
                line += ", %s %s" % (name, value)
        line += "]"
    return line
