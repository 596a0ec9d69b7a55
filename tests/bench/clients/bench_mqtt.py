"""The package over MQTT."""

import bench_microdps


class Client(bench_microdps.Client):
    transport = "mqtt"
