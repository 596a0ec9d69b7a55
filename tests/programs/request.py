"""Makes requests with one Client and prints each result on a line. For both interpreters.

FIRMWARE IDENTITY TIMEOUT_MS URL ...
"""

import sys
import time

sys.path.insert(0, sys.argv[1])

from microdps.client import Client
from microdps.errors import Error
from microdps.identity import Identity

client = Client(Identity.from_files(sys.argv[2]), int(sys.argv[3]))
for url in sys.argv[4:]:
    start = time.time()
    try:
        response = client.request("GET", url)
        print("response", response.status, bytes(response.body))
    except Error as error:
        ms = int((time.time() - start) * 1000)
        print("error", type(error).__name__, error.args[0], ms)
