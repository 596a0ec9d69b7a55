"""Print the proof of possession for a verification code: CERT KEY CODE."""

import sys
from pathlib import Path

from microdps_tools.certs import encoding
from microdps_tools.certs.ca import proof_of_possession
from microdps_tools.certs.reading import load_cert_and_key

cert, key, code = sys.argv[1:]
proof = proof_of_possession(code, load_cert_and_key(Path(cert), Path(key)))
print(encoding.pem(proof).decode(), end="")
