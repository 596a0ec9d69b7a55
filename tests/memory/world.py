"""A board and its peers in one MicroPython, for measuring memory: DPS and a hub that answer by
script, a virtual clock, Wi-Fi that joins at once. Nothing of it opens a socket.

install() puts the modules that a board has, or that stock WebAssembly builds lack, into
sys.modules. The objects of TLS, which on a board lie in MicroPython's heap, are as large there
(measured on the official ESP32 image of 1.26.1).
"""

# long module: one board, whose parts know each other

import sys

SSL_CONTEXT = 1584  # bytes of a tls.SSLContext
SSL_SOCKET = 592

DPS = "global.azure-devices-provisioning.net"
HUB = "contoso-hub-01.azure-devices.net"
OPERATION = b'{"operationId":"5.506603669bd3e2bf.b3602f8f-76fe-4341-9214-bb6cfb891b8a"'

NO_CONTENT = (
    b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nVary: Origin\r\n"
    b"Server: Microsoft-HTTPAPI/2.0\r\nx-ms-request-id: aa58c075-20d9-4565-8058-de6dc8524f14\r\n"
    b"Date: Wed, 31 Aug 2022 18:34:44 GMT\r\n\r\n"
)
ASSIGNING = OPERATION + b',"status":"assigning"}'
ASSIGNED = (
    OPERATION + b',"status":"assigned","registrationState":{"x509":{},'
    b'"registrationId":"device-01","createdDateTimeUtc":"2022-08-27T17:53:19.5143497Z",'
    b'"assignedHub":"contoso-hub-01.azure-devices.net","deviceId":"device-01",'
    b'"status":"assigned","substatus":"initialAssignment",'
    b'"lastUpdatedDateTimeUtc":"2022-08-27T17:53:19.7519141Z",'
    b'"etag":"IjEyMDA4NmYyLTAwMDAtMDMwMC0wMDAwLTYzMGE1YTBmMDAwMCI="}}'
)
REFUSED = (
    b'{"errorCode":401002,"trackingId":"8ad0463c-1a8a-4dd6-b83b-3d4be2b4c5b1","message":'
    b'"Invalid certificate.","timestampUtc":"2020-04-10T05:24:22.4718526Z"}'
)
LEGACY = (
    b'{"Message":"ErrorCode:IotHubUnauthorizedAccess;Unauthorized","ExceptionMessage":'
    b'"Tracking ID:58ab5f9e3f4447a7a4c9d0b0c5cbd8c4-G:3-TimeStamp:08/06/2018 22:33:10"}'
)


def answer(status, body=b"", fields=b""):
    """A response as DPS sends it: chunked."""
    head = b"HTTP/1.1 %s\r\nDate: Sat, 27 Aug 2022 17:53:18 GMT\r\n" % status
    head += b"Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"
    head += fields + b"x-ms-request-id: 05cdec07-c0c7-48f3-b3cd-30cfe27cbe57\r\n\r\n"
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


ACCEPTED = answer(b"202 Accepted", ASSIGNING, b"Retry-After: 3\r\n")
FINISHED = answer(b"200 OK", ASSIGNED)


class World:
    """What the peers answer next. An item is bytes, or an exception that a read raises.

    dps, hub  answers to come; without any, DPS assigns and the hub accepts
    """

    def __init__(self):
        self.dps = []
        self.hub = []
        self.wifi = True
        self.now_ms = 0
        self.epoch_s = 0
        self.resets = 0

    def respond(self, host, port, request):
        if host == DPS:
            if self.dps:
                return self.dps.pop(0)
            return ACCEPTED if request[0] == 0x50 else FINISHED  # P of PUT
        if self.hub:
            return self.hub.pop(0)
        if port == 8883:
            return self.mqtt(request)
        return NO_CONTENT

    def mqtt(self, packet):
        kind = packet[0] & 0xF0
        if kind == 0x10:
            return b"\x20\x02\x00\x00"
        if kind == 0xC0:
            return b"\xd0\x00"
        at = 1
        while packet[at] & 128:
            at += 1
        at += 1
        at += 2 + (packet[at] << 8 | packet[at + 1])
        return b"\x40\x02" + bytes(packet[at : at + 2])


world = World()


class RawSocket:
    def __init__(self, *_):
        pass

    def setblocking(self, flag):
        pass

    def setsockopt(self, *_):
        pass

    def connect(self, address):
        pass

    def close(self):
        pass


class SSLSocket:
    def __init__(self, host, port):
        self.room = bytearray(SSL_SOCKET)
        self.host = host
        self.port = port
        self.pending = b""

    def write(self, buffer):
        self.pending = world.respond(self.host, self.port, buffer)
        return len(buffer)

    def readinto(self, buffer):
        if self.pending is None:
            return 0
        if isinstance(self.pending, Exception):
            raise self.pending
        if not self.pending:
            return None
        n = len(self.pending)  # it fits: no answer here is larger than the buffer
        buffer[:n] = self.pending
        self.pending = b""
        return n

    def close(self):
        self.room = None


class SSLContext:
    verify_mode = 0

    def __init__(self, protocol):
        self.room = bytearray(SSL_CONTEXT)

    def load_cert_chain(self, cert, key):
        assert cert and key

    def load_verify_locations(self, root):
        assert root

    def wrap_socket(self, sock, server_hostname, do_handshake_on_connect):
        return SSLSocket(server_hostname, Socket.port)


class Tls:
    SSLContext = SSLContext
    PROTOCOL_TLS_CLIENT = 0
    CERT_REQUIRED = 2


class Socket:
    SOCK_STREAM = 1
    socket = RawSocket
    port = 0

    @staticmethod
    def getaddrinfo(name, port, *_):
        Socket.port = port
        return [(2, 1, 0, "", b"address")]


class Poll:
    def register(self, stream, flags):
        self.stream = stream

    modify = register

    def poll(self, timeout):
        world.now_ms += 1
        return [(self.stream, 4)]


class Select:
    POLLIN = 1
    POLLOUT = 4
    POLLERR = 8
    POLLHUP = 16
    poll = Poll


class Time:
    """The clock of a board that has never been set, until ntptime sets it. Sleeping takes no time.
    Functions of the class, for MicroPython 1.24 imports no bound method from an object."""

    EPOCH_2026_S = 1_795_000_000
    real = None

    @staticmethod
    def ticks_ms():
        return world.now_ms & 0x3FFFFFFF

    @staticmethod
    def ticks_add(ticks, delta):
        return (ticks + delta) & 0x3FFFFFFF

    @staticmethod
    def ticks_diff(end, start):
        return ((end - start + 0x20000000) & 0x3FFFFFFF) - 0x20000000

    @staticmethod
    def sleep_ms(ms):
        world.now_ms += ms

    @staticmethod
    def time():
        return world.epoch_s + world.now_ms // 1000

    @staticmethod
    def gmtime(s=None):
        return Time.real.gmtime(Time.time() if s is None else s)


class Wlan:
    def __init__(self, interface):
        pass

    def active(self, on):
        pass

    def connect(self, ssid, key):
        pass

    def isconnected(self):
        world.now_ms += 1
        return world.wifi

    def ifconfig(self):
        return ("192.0.2.2", "255.255.255.0", "192.0.2.1", "192.0.2.1")


class Network:
    STA_IF = 0
    WLAN = Wlan


class Wdt:
    def __init__(self, timeout):
        pass

    def feed(self):
        pass


class Rtc:
    def datetime(self, moment):
        world.epoch_s = Time.EPOCH_2026_S - world.now_ms // 1000


class Machine:
    PWRON_RESET = 1
    RTC = Rtc
    WDT = Wdt

    @staticmethod
    def reset_cause():
        return 1

    @staticmethod
    def reset():
        world.resets += 1


class Esp32:
    HEAP_DATA = 4

    @staticmethod
    def idf_heap_info(capabilities):
        return [(163840, 92000, 90000, 57000)]


class Ntptime:
    host = "pool.ntp.org"

    @staticmethod
    def time():
        return Time.EPOCH_2026_S


def install():
    import time

    Time.real = time
    for name, module in (
        ("time", Time),
        ("tls", Tls),
        ("socket", Socket),
        ("select", Select),
        ("network", Network),
        ("machine", Machine),
        ("esp32", Esp32),
        ("ntptime", Ntptime),
    ):
        sys.modules[name] = module
