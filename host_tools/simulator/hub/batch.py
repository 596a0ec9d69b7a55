"""Batches: several messages in the body of one request.

Source: "Send Device Event" (Azure REST reference).
"""

import base64
import json

from ..call import ApiError

BATCH_TYPE = "application/vnd.microsoft.iothub.json"

# The largest message or batch, in bytes. Inferred: that a batch's size is counted as the reference
# says: the body, the values of system properties, and the names and values of other properties.
BATCH_LIMIT = 256 * 1024


def parse_batch(body: bytes) -> list[tuple[dict[str, str], bytes]]:
    """The messages of a batch: properties and body of each.

    Raises ApiError: a batch is accepted as a whole or not at all.
    """
    invalid = ApiError(400, 400001, "The batch is invalid")
    try:
        items = json.loads(body)
        if not isinstance(items, list) or not items:
            raise invalid
        messages = [_message(item, invalid) for item in items]
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise invalid from error
    if sum(_size(properties, data) for properties, data in messages) > BATCH_LIMIT:
        raise ApiError(413, 413001, "The batch is too large")
    return messages


def _message(item: dict, invalid: ApiError) -> tuple[dict[str, str], bytes]:
    text, encoded = item["body"], item.get("base64Encoded", True)
    properties = item.get("properties") or {}
    if not all(isinstance(value, str) for value in properties.values()):
        raise invalid
    data = base64.b64decode(text, validate=True) if encoded else text.encode()
    return {name.lower(): value for name, value in properties.items()}, data


def _size(properties: dict[str, str], data: bytes) -> int:
    return (
        len(data)
        + sum(len(value) for value in properties.values())
        + sum(len(name) for name in properties if name.startswith("iothub-app-"))
    )
