"""What can go wrong for a client, in one tree.

ClientError
├── Refused           the server does not let this client connect        .status
├── ProxyFailed       the proxy does not, or cannot be used              .proxy
├── Unsendable        a request is too large, or is not text; a ValueError too
├── RequestFailed     the server answered a request with an error        .code .action .ref
├── NoAnswer          the server did not answer a request in time        .action .ref
├── Unconfirmed       the connection was lost before a nameless client's message was acknowledged
└── Closed            the client is not open, or not any more
"""

from chalicelib.wire.events import Error


class ClientError(Exception):
    """Root of every error that the client raises."""


class Refused(ClientError):
    """The server does not let this client connect, and will not if it tries again.

    Attributes:
        status: The HTTP status that it answered.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"the server refused the connection ({status}): {why}")
        self.status = status


class ProxyFailed(ClientError):
    """The client cannot connect through its proxy, and could not if it tried again.

    Attributes:
        proxy: The proxy's URL, without a user's name and password.
    """

    def __init__(self, proxy: str, why: str) -> None:
        super().__init__(
            f"the proxy {proxy} cannot be used: {why}. ChatClient(..., proxy=None) connects without a proxy,"
            " proxy= names another one."
        )
        self.proxy = proxy


class Unsendable(ClientError, ValueError):
    """A request is too large for a frame, or its text has no UTF-8. It has not been sent."""


class RequestFailed(ClientError):
    """The server answered a request with an error.

    Attributes:
        code: The wire code, such as ``"not_in_room"``.
        action: The request's action.
        ref: The request's ref. To ``say`` it again under this one is safe.
    """

    def __init__(self, action: str, ref: str, error: Error) -> None:
        super().__init__(f"{action}: {error.message}")
        self.code = error.code
        self.action = action
        self.ref = ref


class NoAnswer(ClientError):
    """The server did not answer a request in time. It may have done it, or may do it yet.

    Attributes:
        action: The request's action.
        ref: The request's ref. To ``say`` it again under this one is safe.
    """

    def __init__(self, action: str, ref: str) -> None:
        super().__init__(f"{action}: no answer in time")
        self.action = action
        self.ref = ref


class Unconfirmed(ClientError):
    """The connection was lost before the message was acknowledged. It may have been sent, or not.

    Only for a client without a name: the server knows the refs of a name, so that any other client
    can send it again.
    """


class Closed(ClientError):
    """The client is not open, or not any more; ``__cause__`` has what ended it, if an error did."""
