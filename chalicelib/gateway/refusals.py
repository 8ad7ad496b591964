"""Why API Gateway answers 429: the buffer of one socket is full, or the account is over its rate."""

from dataclasses import dataclass
from enum import Enum, auto

# Answers count while they are from the current span of time or the one before it; in s.
SPAN = 0.05
# The account is throttled when this many connections are refused, and they are this share of all that were
# answered. It is still taken for throttled this long after that; in s.
ACCOUNT_CONNECTIONS = 3
ACCOUNT_SHARE = 0.2
ACCOUNT_SECONDS = 0.5
# A socket is slow when its refusals in a row would be this improbable otherwise. While the account is
# throttled, chance has many more tries.
CHANCE = 2e-4
CHANCE_THROTTLED = 1e-8
# No single refusal is less probable than this: one is never enough.
LEAST_CHANCE = 0.01
# Refusals of a socket that are closer than this have the same reason, and count as one; in s.
APART_SECONDS = 0.02
# A socket that is not refused for this long is not suspected any more; in s.
MEMORY_SECONDS = 60.0


class Cause(Enum):
    """Why a post was answered 429, as far as the evidence goes."""

    SOCKET = auto()
    ACCOUNT = auto()
    UNKNOWN = auto()


@dataclass
class Suspect:
    """A connection that has been refused, and has taken no post since.

    Attributes:
        refused_at: Time of the latest refusal.
        earlier: Probability of all refusals before that one, if the socket is not slow.
        latest: Probability of the latest refusal, likewise.
        answers: How many answers ``latest`` is estimated from.
        slow: Whether it was found to be slow.
    """

    refused_at: float
    earlier: float = 1.0
    latest: float = 1.0
    answers: int = 0
    slow: bool = False


class Refusals:
    """Tells slow sockets from a throttled account, by who else is answered and how.

    The account's rate hits the posts to any connection. A full buffer hits the posts to one connection, again
    and again, while others are delivered to.

    - ``ACCOUNT``: within a tenth of a second, at least three connections were refused that are not known to
      be slow nor had been refused just before, and they were a fifth of all that were answered. This is
      assumed for half a second more.
    - ``SOCKET``: the connection was refused so often in a row that it would be a coincidence otherwise. The
      probability of a refusal is estimated by the share of refusals among the answers around it. The
      probabilities of its refusals in a row are multiplied, and at 1 in 5,000 the socket is slow.
      Among 200 others that take their posts it takes two refusals, among 50 three. Where nobody
      else is answered, no number of refusals is enough.
    - ``UNKNOWN``: too little evidence for either.

    Sockets that are known to be slow are no evidence against the account. Once a connection takes a post it
    is not suspected any more.

    Times are in s, of a clock that runs while the process is frozen. After a jump of the clock, in whichever
    direction, nothing from before counts.

    Attributes:
        throttled_at: When there was evidence of a throttled account last.
    """

    def __init__(self) -> None:
        self.throttled_at = float("-inf")
        self._suspects: dict[str, Suspect] = {}
        self._purged_at = float("-inf")
        # Counts of the current span, and of the one before; refusals of slow sockets are left out.
        self._begins_at = self._ends_at = float("-inf")
        self._delivered = self._delivered_before = 0
        self._refused = self._refused_before = 0
        self._connections: set[str] = set()
        self._connections_before: set[str] = set()

    def delivered(self, connection_id: str, now: float) -> None:
        """Record a post that was taken."""
        if not self._begins_at <= now < self._ends_at:
            self._turn(now)
        self._delivered += 1
        if self._suspects:
            self._suspects.pop(connection_id, None)

    def refused(self, connection_id: str, now: float) -> Cause:
        """Record a post that was answered 429; return why, as far as the answers up to now tell."""
        if not self._begins_at <= now < self._ends_at:
            self._turn(now)
        suspect = self._suspects.get(connection_id)
        # One that is refused again and again tells of itself alone.
        is_evidence = suspect is None or not (suspect.slow or 0 <= now - suspect.refused_at < ACCOUNT_SECONDS)
        if suspect is None or not 0 <= now - suspect.refused_at <= MEMORY_SECONDS:
            self._purge(now)
            self._suspects[connection_id] = Suspect(now)
            self._refused += 1
        elif now - suspect.refused_at >= APART_SECONDS:
            suspect.earlier *= suspect.latest
            suspect.latest, suspect.answers, suspect.refused_at = 1.0, 0, now
            self._refused += not suspect.slow
        if is_evidence:
            self._connections.add(connection_id)
            self._judge_account(now)
        return self.cause(connection_id, now)

    def cause(self, connection_id: str, now: float) -> Cause:
        """Return why the latest post to a connection was refused, by the answers since then, too."""
        if not self._begins_at <= now < self._ends_at:
            self._turn(now)
        throttled = 0 <= now - self.throttled_at < ACCOUNT_SECONDS
        suspect = self._suspects.get(connection_id)
        if suspect is not None:
            self._judge(suspect, CHANCE_THROTTLED if throttled else CHANCE)
            if suspect.slow:
                return Cause.SOCKET
        return Cause.ACCOUNT if throttled else Cause.UNKNOWN

    def _judge_account(self, now: float) -> None:
        refused = len(self._connections | self._connections_before)
        answers = refused + self._delivered + self._delivered_before
        if refused >= ACCOUNT_CONNECTIONS and refused >= ACCOUNT_SHARE * answers:
            self.throttled_at = now

    def _judge(self, suspect: Suspect, chance: float) -> None:
        refused = self._refused + self._refused_before
        answers = refused + self._delivered + self._delivered_before
        # The best estimate is the one from most answers.
        if answers > suspect.answers:
            # As if one more had been refused: what few answers say is not to be trusted.
            suspect.latest = max(LEAST_CHANCE, (refused + 1) / (answers + 1))
            suspect.answers = answers
            suspect.slow |= suspect.earlier * suspect.latest <= chance

    def _turn(self, now: float) -> None:
        """Begin another span."""
        if 0 <= now - self._ends_at < SPAN:
            self._delivered_before = self._delivered
            self._refused_before = self._refused
            self._connections_before = self._connections
        else:
            self._delivered_before = self._refused_before = 0
            self._connections_before = set()
        self._delivered = self._refused = 0
        self._connections = set()
        self._begins_at, self._ends_at = now, now + SPAN

    def _purge(self, now: float) -> None:
        """Forget suspects that are not refused any more; now and then is enough."""
        if not 0 <= now - self._purged_at <= MEMORY_SECONDS:
            self._purged_at = now
            self._suspects = {
                connection_id: suspect
                for connection_id, suspect in self._suspects.items()
                if 0 <= now - suspect.refused_at <= MEMORY_SECONDS
            }
