"""Device twins: documents of properties, which patches change.

Source: "Understand and use device twins in IoT Hub" (Azure documentation).
"""

import json

from ..call import ApiError
from ..store.store import Store

# The largest desired or reported properties, the longest name and text in them, in bytes; and how
# deep the objects may be. Inferred: that the size is that of the JSON.
SIZE_LIMIT = 32 * 1024
NAME_LIMIT = 1024
TEXT_LIMIT = 4096
DEPTH_LIMIT = 10


def parse_patch(data: bytes) -> dict:
    """A patch in JSON. Raises ApiError."""
    try:
        patch = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError):
        patch = None
    if not isinstance(patch, dict):
        raise ApiError(400, 400004, "The patch is not a JSON object.")
    check_patch(patch)
    return patch


def _no_number(text: str):
    raise ValueError(f"{text} is no number of JSON")


def check_patch(value, depth: int = 0) -> None:
    """Raises ApiError if a part of a patch is not allowed in a twin."""
    if isinstance(value, str) and len(value.encode(errors="replace")) > TEXT_LIMIT:
        raise ApiError(400, 400006, f"A text in a twin has at most {TEXT_LIMIT} bytes.")
    if isinstance(value, dict | list) and depth > DEPTH_LIMIT:
        raise ApiError(400, 400006, f"A twin has at most {DEPTH_LIMIT} levels.")
    if isinstance(value, dict):
        for name in value:
            if not name or not name.isprintable() or set(name) & set(".$ "):
                raise ApiError(400, 400006, "A name in a twin has no space, $, . or control.")
            if len(name.encode(errors="replace")) > NAME_LIMIT:
                raise ApiError(400, 400006, f"A name in a twin has at most {NAME_LIMIT} bytes.")
    inner: list = []
    if isinstance(value, dict | list):
        inner = list(value.values()) if isinstance(value, dict) else value
    for one in inner:
        check_patch(one, depth + 1)


def merge(old: dict, patch: dict) -> dict:
    """A document with the changes of a patch, in which null deletes."""
    new = dict(old)
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        elif isinstance(value, dict):
            before = old.get(name)
            new[name] = merge(before if isinstance(before, dict) else {}, value)
        else:
            new[name] = value
    return new


def patch_twin(store: Store, hub: str, device_id: str, part: str, patch: dict) -> int:
    """Change the "desired" or "reported" properties → their new version. Raises ApiError."""
    twin = twin_of(store, hub, device_id)
    new = merge(twin[part], patch)
    if len(json.dumps(new, separators=(",", ":")).encode()) > SIZE_LIMIT:
        raise ApiError(400, 400006, f"The {part} properties have at most {SIZE_LIMIT} bytes.")
    versions = twin["versions"] | {part: twin["versions"][part] + 1}
    store.twins.put(hub, device_id, twin | {part: new, "versions": versions})
    return versions[part]


def twin_of(store: Store, hub: str, device_id: str) -> dict:
    return store.twins.get(hub, device_id) or first_twin(None)


def device_view(twin: dict) -> dict:
    """A twin as its device gets it."""
    return {
        part: twin[part] | {"$version": twin["versions"][part]} for part in ("desired", "reported")
    }


def first_twin(initial: dict | None) -> dict:
    """The twin of a new device. initial: initialTwin of its enrollment."""
    initial = initial or {}
    return {
        "tags": initial.get("tags") or {},
        "desired": (initial.get("properties") or {}).get("desired") or {},
        "reported": {},
        "versions": {"desired": 1, "reported": 1},
    }
