"""The events that API Gateway makes of what a socket does, and what it says to one of its own accord."""

import json
import uuid
from typing import Any

API_ID = "a1b2c3d4e5"
STAGE = "test"
KINDS = {"$connect": "CONNECT", "$default": "MESSAGE", "$disconnect": "DISCONNECT"}
TOO_MANY = "Too Many Requests"


def socket_event(connection_id: str, connected_at: float, now: float, route: str) -> dict[str, Any]:
    """Make the event of a route, ``$connect``, ``$default`` or ``$disconnect``; times are Unix, in s."""
    request_id = uuid.uuid4().hex[:16]
    return {
        "requestContext": {
            "routeKey": route,
            "eventType": KINDS[route],
            "extendedRequestId": request_id,
            "requestId": request_id,
            "messageDirection": "IN",
            "connectedAt": int(connected_at * 1000),
            "requestTimeEpoch": int(now * 1000),
            "identity": {"sourceIp": "127.0.0.1"},
            "connectionId": connection_id,
            "domainName": f"{API_ID}.execute-api.us-east-1.amazonaws.com",
            "apiId": API_ID,
            "stage": STAGE,
        },
        "isBase64Encoded": False,
    }


def error_frame(message: str, event: dict[str, Any]) -> str:
    """What a client is told of a frame that has come to nothing."""
    context = event["requestContext"]
    error = {"message": message, "connectionId": context["connectionId"], "requestId": context["requestId"]}
    return json.dumps(error)
