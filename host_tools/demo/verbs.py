"""microdps demo."""

import argparse
import shutil
import tempfile
from pathlib import Path

from microdps.program.config import CHOICES

from .. import ToolError


def add_demo_parser(add) -> None:
    verb = add(
        description="Do the main job, from certificates to accepted messages, on this computer"
        " alone.",
        epilog="example: microdps demo --enrollment individual --keep demo-files",
    )
    verb.add_argument("--enrollment", choices=("group", "individual"), default="group")
    verb.add_argument(
        "--hub",
        choices=("handshake", "renegotiate", "close", "unauthorized"),
        default="handshake",
        help="when the hub asks for the certificate over HTTPS, as for microdps simulate",
    )
    verb.add_argument(
        "--transport",
        choices=CHOICES["transport"],
        default="auto",
        help="how the device sends (%(default)s)",
    )
    verb.add_argument("--keep", type=Path, help="leave all files in this new folder")
    verb.set_defaults(function=_demo)


def _demo(args: argparse.Namespace) -> None:
    from .demo import demo

    if args.keep and args.keep.exists():
        raise ToolError(f"{args.keep} already exists: name a new folder")
    folder = (args.keep or Path(tempfile.mkdtemp(prefix="microdps-demo-"))).absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        print(demo(folder, args.enrollment, args.hub, args.transport))
    finally:
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
