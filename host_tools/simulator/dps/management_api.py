"""Azure's management API, as far as it concerns DPS: the instance, its keys, its CA certificates.

Source: Azure REST reference (Microsoft.Devices/provisioningServices, 2022-12-12). The real service
is at management.azure.com, and takes a token of Microsoft Entra. Here the token is the key of the
service's connection string. There is one instance, and it answers to any name.
"""

import hmac

from ..call import ApiError, Call, Response, lower_case
from ..http_service import HttpService
from . import ca_certificates
from .authorization import KEY_NAME

VERSIONS = (
    "2017-08-21-preview",
    "2017-11-15",
    "2018-01-22",
    "2020-01-01",
    "2020-03-01",
    "2020-09-01-preview",
    "2021-10-15",
    "2022-02-05",
    "2022-12-12",
    "2023-03-01-preview",
    "2025-02-01-preview",
    "2026-08-31",
    "2026-11-01",
)

# In the path of every call.
PROVIDER = ("providers", "microsoft.devices", "provisioningservices")

# The instance's name in a list.
NAME = "simulator"

RIGHTS = "ServiceConfig, DeviceConnect, EnrollmentWrite"


def respond(service: HttpService, call: Call) -> Response:
    """Answer a call of the management API. Raises ApiError."""
    _authorize(service, call)
    if call.query.get("api-version") not in VERSIONS:
        raise ApiError(400, 400000, "The api-version is not supported.")
    # The case of the path has no meaning, except in names of resources.
    match lower_case(call.path):
        case ["subscriptions", _, "resourcegroups", _, *rest]:
            group = call.path[3]
        case ["subscriptions", _, *rest]:
            group = ""
        case _:
            rest = []
    if tuple(rest[:3]) != PROVIDER or (not group and rest[3:]):
        raise ApiError(404, 404000, "The resource is not found.")
    if not rest[3:]:
        call.check_method("GET")
        return Response(200, {"value": [_instance(service, call.path[1], group or NAME, NAME)]})
    return _of_instance(service, call, rest[4:])


def _of_instance(service: HttpService, call: Call, rest: list[str]) -> Response:
    """Answer a call for the instance. rest: the lower case of the path after its name."""
    _, subscription, _, group, _, _, _, name, *original = call.path
    match rest:
        case []:
            call.check_method("GET")
            return Response(200, _instance(service, subscription, group, name))
        case ["listkeys"]:
            call.check_method("POST")
            return Response(200, {"value": [_key(service)]})
        case ["keys", key_name, "listkeys"]:
            call.check_method("POST")
            if key_name != KEY_NAME:
                raise ApiError(404, 404000, "The key is not found.")
            return Response(200, _key(service))
        case ["certificates", *_]:
            return ca_certificates.respond(service, call, [*original[1:2], *rest[2:]])
    raise ApiError(404, 404000, "The resource is not found.")


def _authorize(service: HttpService, call: Call) -> None:
    scheme, _, token = (call.header("authorization") or "").partition(" ")
    key = service.store.service_key.encode()
    if scheme != "Bearer" or not hmac.compare_digest(token.encode(), key):
        raise ApiError(401, 401000, "The access token is invalid.")


def _instance(service: HttpService, subscription: str, group: str, name: str) -> dict:
    path = f"/subscriptions/{subscription}/resourceGroups/{group}/providers"
    return {
        "id": f"{path}/Microsoft.Devices/provisioningServices/{name}",
        "name": name,
        "type": "Microsoft.Devices/provisioningServices",
        "location": "local",
        "resourcegroup": group,
        "subscriptionid": subscription,
        "etag": "AAAAAAAAAAA=",
        "properties": {
            "state": "Active",
            "provisioningState": "Succeeded",
            "allocationPolicy": "Hashed",
            "serviceOperationsHostName": service.service_host,
            "deviceProvisioningHostName": service.host,
            "idScope": service.store.id_scope,
            "iotHubs": [],
        },
        "sku": {"name": "S1", "tier": "Standard", "capacity": 1},
    }


def _key(service: HttpService) -> dict:
    key = service.store.service_key
    return {"keyName": KEY_NAME, "primaryKey": key, "secondaryKey": key, "rights": RIGHTS}
