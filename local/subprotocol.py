"""Teaches MiniStack to confirm a subprotocol, as API Gateway does.

API Gateway takes the header ``Sec-WebSocket-Protocol`` of ``$connect``'s response into the handshake.
MiniStack drops it, and browsers and wscat close a socket whose subprotocol is not confirmed.
"""

from contextvars import ContextVar
from typing import Any

from ministack.services import apigateway  # type: ignore[import-untyped]

_confirmed: ContextVar[str | None] = ContextVar("_confirmed", default=None)
_invoke = apigateway._invoke_ws_lambda
_handle = apigateway.handle_websocket


async def _invoke_and_note(*args: Any, **kwargs: Any) -> Any:
    response = await _invoke(*args, **kwargs)
    headers = (response or {}).get("headers") or {}
    for name, value in headers.items():
        if name.lower() == "sec-websocket-protocol":
            _confirmed.set(value)
    return response


async def _handle_and_confirm(scope: Any, receive: Any, send: Any, *args: Any, **kwargs: Any) -> None:
    async def confirm(message: dict[str, Any]) -> None:
        protocol = _confirmed.get()
        if message["type"] == "websocket.accept" and protocol is not None:
            message = {**message, "subprotocol": protocol}
        await send(message)

    await _handle(scope, receive, confirm, *args, **kwargs)


def confirm_subprotocols() -> None:
    """Put this over MiniStack's own handling."""
    apigateway._invoke_ws_lambda = _invoke_and_note
    apigateway.handle_websocket = _handle_and_confirm
