"""What can go wrong, in one tree. The leaves carry the code that goes on the wire.

ChatError
├── RequestError          the client can do something about it
│   ├── BadJson           bad_json
│   ├── BadRequest        bad_request      .field
│   ├── UnknownAction     unknown_action
│   ├── NotInRoom         not_in_room
│   ├── NotFound          not_found
│   ├── Forbidden         forbidden
│   │   ├── BadToken
│   │   ├── NameTaken
│   │   └── TooManyConnections
│   ├── TokenExpired      token_expired
│   ├── RateLimited       rate_limited     .retry_after
│   │   └── Flooding
│   └── TooLarge          too_large
└── ServerError           the client can only try again
    ├── Unavailable       unavailable
    │   ├── StorageUnavailable
    │   ├── GatewayUnavailable
    │   ├── KeysUnavailable
    │   └── QueueUnavailable
    ├── BadTask          internal         no client sees it
    └── Internal          internal
"""

from collections.abc import Iterable
from typing import ClassVar


class ChatError(Exception):
    """Root of every error that chalicelib raises. ``str(error)`` is fit for a client."""

    code: ClassVar[str]


class RequestError(ChatError):
    """The client asked for something that it cannot have."""


class BadJson(RequestError):
    """The frame is not a JSON object, or gives a field twice."""

    code = "bad_json"


class BadRequest(RequestError):
    """A field is missing, unknown, or has a value that it must not have."""

    code = "bad_request"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} {why}")
        self.field = field


class UnknownAction(RequestError):
    """No action has this name. The message lists those that there are."""

    code = "unknown_action"

    def __init__(self, action: str, known: Iterable[str]) -> None:
        super().__init__(f"unknown action {action}; known are {', '.join(known)}")


class NotInRoom(RequestError):
    """The connection has not joined the room that it speaks to."""

    code = "not_in_room"

    def __init__(self, room: str) -> None:
        super().__init__(f"you are not in {room}")


class NotFound(RequestError):
    """Nobody of this name is connected."""

    code = "not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not connected")


class Forbidden(RequestError):
    """The connection may not have that."""

    code = "forbidden"


class BadToken(Forbidden):
    """There is no token, or it is none of this chat's. The message tells nothing that helps to make one.

    Attributes:
        reason: What is wrong with it, for the log: the name of a claim or of a part, and never its value.
    """

    def __init__(self, why: str = "the token is not valid", reason: str = "token") -> None:
        super().__init__(why)
        self.reason = reason


class NameTaken(Forbidden):
    """Somebody is connected under a name that looks the same. That passes: the name is free when they go."""

    def __init__(self) -> None:
        super().__init__("somebody is here under a name that looks the same")


class TooManyConnections(Forbidden):
    """The name has as many connections as it can. That passes: a dead one is taken away within minutes."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(f"{name} has {most} connections, and cannot have more")


class TokenExpired(RequestError):
    """The token has expired: connect again with a new one."""

    code = "token_expired"

    def __init__(self) -> None:
        super().__init__("the token has expired")


class RateLimited(RequestError):
    """The connection, or all those of its name together, send faster than they may."""

    code = "rate_limited"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too fast, try again in {retry_after} s")
        self.retry_after = retry_after


class Flooding(RateLimited):
    """The connection has sent on against too many refusals, and is closed.

    Attributes:
        told: Whether this is for another frame to tell: nothing is sent to the connection any more.
    """

    def __init__(self, retry_after: int, told: bool) -> None:
        super().__init__(retry_after)
        self.told = told


class TooLarge(RequestError):
    """What was asked for would not fit into one message of API Gateway's."""

    code = "too_large"

    def __init__(self, size: int, largest: int) -> None:
        super().__init__(f"that would be {size:,} bytes; {largest:,} is the most")


class ServerError(ChatError):
    """The request was fine; the chat could not serve it."""


class Unavailable(ServerError):
    """Storage or gateway did not do it, after the retries."""

    code = "unavailable"


class StorageUnavailable(Unavailable):
    """DynamoDB refused or did not answer. The cause is chained, for the log."""

    def __init__(self) -> None:
        super().__init__("the chat cannot reach its storage, try again")


class GatewayUnavailable(Unavailable):
    """API Gateway does not let this chat send at all (403): a fault of its own configuration."""

    def __init__(self) -> None:
        super().__init__("the chat cannot send messages")


class KeysUnavailable(Unavailable):
    """The keys that tokens are verified by cannot be read. The cause is chained, for the log."""

    def __init__(self) -> None:
        super().__init__("the chat cannot verify tokens, try again")


class QueueUnavailable(Unavailable):
    """SQS did not take what is left to be sent. The cause is chained, for the log."""

    def __init__(self) -> None:
        super().__init__("the chat cannot reach its queue")


class BadTask(ServerError):
    """A message of the queue is no task."""

    code = "internal"

    def __init__(self) -> None:
        super().__init__("this is no task")


class Internal(ServerError):
    """A bug. The details are in the log, under the request id."""

    code = "internal"

    def __init__(self, request_id: str) -> None:
        super().__init__(f"something went wrong, request {request_id}")
