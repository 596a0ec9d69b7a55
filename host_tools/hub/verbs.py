"""microdps hub: send, monitor, twin, method."""

import argparse
import base64
import json
from pathlib import Path

from .. import ToolError
from ..simulator.page.admin_rules import EXPIRY_S, ID_LIMIT, METHOD_S
from . import DEFAULT_PAGE


def add_hub_parser(add) -> None:
    verb = add(
        description="The other side of a simulated hub, for a simulator that runs on this machine."
        " For a real hub, use 'az iot': AMQP, WebSockets and the hub's service API are not"
        " simulated.",
        epilog="example: microdps hub send device-01 'reboot' --property level=high",
    )
    actions = verb.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_send(actions)
    _add_monitor(actions)
    _add_twin(actions)
    _add_method(actions)


def _add_page(action, hub: bool = True) -> None:
    action.add_argument(
        "--page",
        default=DEFAULT_PAGE,
        metavar="URL",
        help="of the simulator, from its line 'ready' (%(default)s)",
    )
    if hub:
        action.add_argument("--hub", help="the device's hub (the first one that has the device)")


def _add_send(actions) -> None:
    action = actions.add_parser(
        "send",
        help="a message for a device",
        description="Leave a cloud-to-device message for a device. It gets it by MQTT at once, if"
        " it is connected and has subscribed, or else when it asks for it.",
        epilog="example: microdps hub send device-01 '{\"interval\": 5}' --message-id m1",
    )
    action.add_argument("device", metavar="DEVICE", help="device ID")
    content = action.add_mutually_exclusive_group(required=True)
    content.add_argument("text", nargs="?", help="the message")
    content.add_argument("--file", type=Path, help="a file with the message, of any bytes")
    action.add_argument(
        "--property",
        action="append",
        default=[],
        type=_property,
        metavar="NAME=VALUE",
        help="of the message (repeatable)",
    )
    for name, text in (
        ("message-id", "message ID"),
        ("correlation-id", "correlation ID"),
        ("user-id", "user ID"),
        ("content-type", "such as application/json"),
        ("content-encoding", "such as utf-8"),
    ):
        action.add_argument(f"--{name}", type=_id, help=text)
    action.add_argument(
        "--expiry-s",
        type=float,
        default=EXPIRY_S,
        metavar="S",
        help="how long it waits (%(default)s)",
    )
    _add_page(action)
    action.set_defaults(function=_send)


def _add_monitor(actions) -> None:
    action = actions.add_parser(
        "monitor",
        help="a live view of the messages that devices send",
        description="Show each message that a hub accepts, until Ctrl-C.",
        epilog="example: microdps hub monitor --device device-01 --properties",
    )
    action.add_argument("--device", metavar="DEVICE", help="only this device's")
    action.add_argument("--properties", action="store_true", help="with their properties")
    action.add_argument(
        "--count", type=int, default=0, metavar="N", help="end after N messages (never)"
    )
    _add_page(action, hub=False)
    action.set_defaults(function=_monitor)


def _add_twin(actions) -> None:
    action = actions.add_parser(
        "twin",
        help="show a device's twin, or change its desired properties",
        description="Show a device's twin. With --desired, change its desired properties first:"
        " null deletes one.",
        epilog="example: microdps hub twin device-01 --desired '{\"interval\": 5}'",
    )
    action.add_argument("device", metavar="DEVICE", help="device ID")
    action.add_argument("--desired", type=_json, metavar="JSON", help="the changes")
    _add_page(action)
    action.set_defaults(function=_twin)


def _add_method(actions) -> None:
    action = actions.add_parser(
        "method",
        help="call a direct method of a device",
        description="Call a direct method of a device that is connected by MQTT.",
        epilog="example: microdps hub method device-01 blink --payload '{\"times\": 3}'",
    )
    action.add_argument("device", metavar="DEVICE", help="device ID")
    action.add_argument("method", help="name of the method")
    action.add_argument("--payload", type=_json, metavar="JSON", help="for the method (null)")
    action.add_argument(
        "--timeout-s",
        type=float,
        default=METHOD_S,
        metavar="S",
        help="how long to wait for its answer (%(default)s)",
    )
    _add_page(action)
    action.set_defaults(function=_method)


def _property(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME=VALUE")
    return name, value


def _id(text: str) -> str:
    if not text or len(text) > ID_LIMIT:
        raise argparse.ArgumentTypeError(f"must have 1 to {ID_LIMIT} characters")
    return text


def _json(text: str):
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"is no JSON: {error}") from error


def _send(args: argparse.Namespace) -> None:
    try:
        data = args.file.read_bytes() if args.file else args.text.encode()
    except OSError as error:
        raise ToolError(f"cannot read {args.file}: {error.strerror}") from error
    call = {
        "deviceId": args.device,
        "bodyBase64": base64.b64encode(data).decode(),
        "properties": dict(args.property),
        "expiryS": args.expiry_s,
        "hub": args.hub,
        "messageId": args.message_id,
        "correlationId": args.correlation_id,
        "userId": args.user_id,
        "contentType": args.content_type,
        "contentEncoding": args.content_encoding,
    }
    answer = _client(args).send({k: v for k, v in call.items() if v is not None})
    print(f"sent to {args.device} on {answer['hub']}: {answer['waiting']} waiting")


def _client(args: argparse.Namespace):
    from .admin_client import AdminClient

    return AdminClient(args.page)


def _monitor(args: argparse.Namespace) -> None:
    from .monitor import monitor

    client = _client(args)
    last = client.last_number()
    print("Showing messages, use Ctrl-C to stop", flush=True)

    def show(text: str) -> None:
        print(text, flush=True)

    monitor(client, show, args.device, args.properties, args.count, last)


def _twin(args: argparse.Namespace) -> None:
    client = _client(args)
    if args.desired is None:
        twin = client.twin(args.device, args.hub)
    else:
        twin = client.change_twin(args.device, args.hub, args.desired)
    print(json.dumps(twin, indent=2))


def _method(args: argparse.Namespace) -> None:
    call = {"deviceId": args.device, "hub": args.hub, "method": args.method}
    answer = _client(args).call_method(call | {"payload": args.payload}, args.timeout_s)
    print(json.dumps(answer, indent=2))
