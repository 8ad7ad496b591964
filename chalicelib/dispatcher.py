"""From a frame to its action, and from whatever goes wrong to one error event."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .actions.call import Action, Call
from .errors import BadJson, BadRequest, ChatError, Internal, RateLimited, TooLarge, UnknownAction
from .wire.events import LARGEST, Error, Event
from .wire.fields import LONGEST_REF
from .wire.requests import parse_frame, parse_request, shown

# A ref is given back up to this length, in characters, though a valid one is shorter.
LONGEST_ECHO = 1024
# One half of a surrogate pair has no UTF-8.
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Outcome:
    """What a frame came to.

    Attributes:
        reply: What its sender is told.
        action: Name of the action that ran; None where the frame named none that exists.
        error: What went wrong, if anything did.
    """

    reply: Event
    action: str | None = None
    error: Exception | None = None

    @property
    def code(self) -> str:
        """``"ok"``, or the wire code of the error."""
        return self.reply.code if isinstance(self.reply, Error) else "ok"


@dataclass(frozen=True)
class Frame:
    """A text frame, parsed once.

    Attributes:
        fields: The object that it is; empty where it is none.
        error: Why it is none.
    """

    fields: Mapping[str, Any]
    error: ChatError | None = None

    @classmethod
    def parse(cls, body: str) -> "Frame":
        """Parse a frame. Whatever is in it, nothing is raised."""
        try:
            size = len(body.encode(errors="surrogatepass"))
            if size > LARGEST:
                raise TooLarge(size, LARGEST)
            return cls(parse_frame(body))
        except (BadJson, TooLarge) as error:
            return cls({}, error)

    def price(self, actions: Mapping[str, Action], members: Callable[[str], int]) -> int:
        """Say how many tokens serving it takes from its sender's bucket.

        Args:
            actions: What can be asked for.
            members: Gives the number of connections in a room, 0 where that is not known.
        """
        name = self.fields.get("action")
        action = actions.get(name) if isinstance(name, str) else None
        return action.price(self.fields, members) if action else 1


def dispatch(frame: Frame, call: Call, request_id: str) -> Outcome:
    """Serve one frame: its field ``action`` chooses the action, as API Gateway's route selection would.

    Args:
        frame: The frame.
        call: Who asks, and what an action has at hand.
        request_id: Told to the client where the fault is ours, so that it can be found in the log.

    Returns:
        The outcome. Nothing is raised: whatever goes wrong becomes one ``error`` event.
    """
    name = None
    try:
        if frame.error is not None:
            raise frame.error
        name, action = _find(frame.fields, call)
        fields = {field: value for field, value in frame.fields.items() if field != "action"}
        return Outcome(action.run(parse_request(name, fields, action.request), call), name)
    except Exception as error:  # A bug too: it must reach the log, and its details not the client.
        return Outcome(explain(error, request_id, frame.fields), name, error)


def refuse(frame: Frame, error: ChatError, request_id: str) -> Outcome:
    """Answer a frame that cannot be served, whatever it asks; the rest as for ``dispatch``."""
    return Outcome(explain(error, request_id, frame.fields), error=error)


def explain(error: Exception, request_id: str, frame: Mapping[str, Any]) -> Error:
    """Make the one event that tells a client of an error; one that is no ``ChatError`` is ``internal``."""
    told = error if isinstance(error, ChatError) else Internal(request_id)
    return Error(
        code=told.code,
        message=str(told),
        action=_shown(frame.get("action")),
        retry_after=told.retry_after if isinstance(told, RateLimited) else None,
        ref=_shown(frame.get("ref"), LONGEST_ECHO),
    )


def _find(frame: Mapping[str, Any], call: Call) -> tuple[str, Action]:
    name = frame.get("action")
    if not isinstance(name, str):
        why = "must be a string" if "action" in frame else "is missing"
        raise BadRequest("action", f"{why}; known are {', '.join(call.services.actions)}")
    if name not in call.services.actions:
        raise UnknownAction(shown(name), call.services.actions)
    return name, call.services.actions[name]


def _shown(value: object, longest: int = LONGEST_REF) -> str | None:
    """Give back what the client sent, where it is text of a size to give back.

    A ``ref`` that breaks its rule is given back too: its sender waits for it.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        return None
    return None if _HALF.search(value) else value
