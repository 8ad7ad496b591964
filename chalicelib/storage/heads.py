"""The head of a room, one item in ``ChatMessages``: its numbers, its pump, and how many are in it.

Each message updates the head anyway, to take its number. So everything that a publisher has to know of a
room rides on it, and is learned for free: who sends (the lease of the room's pump), how far that is
(``sent``), the version of the membership, and the number of members.

The version of the membership changes after each change of who is in the room. It is written after the
membership, by a request of its own: a transaction on an item that each message updates would meet
conflicts in every busy room. A crash in between leaves the version behind, so whoever relies on it looks
again after some time.
"""

import random
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .faults import translated, write

DAY = 24 * 60 * 60
# A pump renews its lease with each round. One that has died is replaced after this time.
LEASE_SECONDS = 6
# Rooms whose size a Lambda remembers.
MOST_REMEMBERED = 10_000
# Members of a room, over all inline ones, from which the leaving of a connection is counted by samples.
SAMPLED_SHARE = 10
# No room is counted by samples that has fewer members than this.
LEAST_SAMPLED = 50
# How long a room in which others speak too is not taken for one at rest, in s.
RESTLESS_SECONDS = 60

# Takes a number, and the lease where it is free.
NEXT = (
    "ADD seq :one SET epoch = if_not_exists(epoch, :epoch), "
    # Of a log that is older than this attribute, everything has been sent.
    "sent = if_not_exists(sent, if_not_exists(seq, :zero)), "
    "pump = if_not_exists(pump, :lease), expiresAt = :expires"
)


@dataclass(frozen=True)
class Head:
    """What is known of a room as a whole.

    Attributes:
        seq: Number of the last message, 0 before the first.
        epoch: Random id of this numbering; None before the first message.
        sent: Every message up to this number has been handed on.
        sent_at: Unix time in ms of the last round; 0 before the first.
        between_ms: Time in ms from one round to the next that the account's rate leaves.
        pump: The lease of the pump; None where nobody sends.
        members_version: Another one after each change of who is in the room.
        members: How many connections are in the room. It drifts by crashes, and is mended.
        occupancy_due: Unix time in ms at which a worker tells a crowd how many it is; 0 where none is to.
    """

    seq: int = 0
    epoch: str | None = None
    sent: int = 0
    sent_at: int = 0
    between_ms: int = 0
    pump: str | None = None
    members_version: int = 0
    members: int = 0
    occupancy_due: int = 0

    def is_left(self, now: float) -> bool:
        """Whether there is something to send and nobody who sends it, at this Unix time in s."""
        return self.sent < self.seq and (self.pump is None or self.pump < _lease_time(now))


@dataclass(frozen=True)
class Sent:
    """How far a pump is.

    Attributes:
        seq: Every message up to this number has been handed on.
        at_ms: Unix time in ms of the last round.
        between_ms: Time in ms from one round to the next.
    """

    seq: int
    at_ms: int
    between_ms: int = 0


class Heads:
    """Reads and moves the heads; all methods raise ``StorageUnavailable`` when DynamoDB does not do it.

    Args:
        client: boto3's DynamoDB client.
        table: Table of the messages.
        history_days: How long messages are kept, and a head beyond them.
        clock: Unix time in s.
        inline: Members up to which the version of a membership is of use: larger rooms are read each time.
        chance: From 0 to 1, for what is counted by samples.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        history_days: int,
        clock: Callable[[], float] = time.time,
        inline: int = 5000,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._table = table
        self._kept = history_days * DAY
        self._clock = clock
        self._inline = inline
        self._chance = chance
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._at_rest: dict[str, Head] = {}
        self._restless: dict[str, float] = {}

    def read(self, room: str) -> Head:
        """Read the head of a room."""
        with translated():
            answer = self._client.get_item(TableName=self._table, Key=_key(room), ConsistentRead=True)
        return self._seen(room, answer.get("Item", {}))

    def new_lease(self) -> str:
        """Make a lease that begins now; leases compare as their ends do."""
        return f"{_lease_time(self._clock() + LEASE_SECONDS)}#{secrets.token_hex(4)}"

    def next_message(self, room: str, lease: str) -> Head:
        """Take the next number of a room, and begin its log where there is none.

        Whoever finds the room without a pump is its pump: the head that comes back has their lease.
        """
        return self._update(room, NEXT, self._next(lease))

    def next_after(self, rest: Head, room: str, lease: str) -> Head | None:
        """Do what ``next_message`` does, where the room is still at rest; None where somebody has spoken."""
        values = {
            **self._next(lease),
            ":was": _number(rest.seq),
            ":of": {"S": rest.epoch or ""},
        }
        head = self._change(room, NEXT, "seq = :was AND epoch = :of", values, lease)
        if head is None:
            # Others speak there too, by other Lambdas: not worth a try for a while.
            self._at_rest.pop(room, None)
            self._restless[room] = self._clock() + RESTLESS_SECONDS
        return head

    def at_rest(self, room: str) -> Head | None:
        """The room as this Lambda has left it, when everything had been sent; None where it may be busy."""
        if self._restless.get(room, 0) > self._clock():
            return None
        return self._at_rest.pop(room, None)

    def take_over(self, room: str, lease: str, left: str | None = None) -> Head | None:
        """Become the pump of a room; None where there is nothing to send, or somebody sends it.

        Args:
            room: The room.
            lease: The lease to have.
            left: A lease that nobody sends under any more, even if it has not been ended.
        """
        values = {
            ":lease": {"S": lease},
            ":now": {"S": _lease_time(self._clock())},
            ":left": {"S": left or ""},
        }
        return self._change(
            room,
            "SET pump = :lease",
            "sent < seq AND (attribute_not_exists(pump) OR pump < :now OR pump = :left)",
            values,
            lease,
        )

    def renew(self, room: str, lease: str, sent: Sent, renewed: str) -> Head | None:
        """Note what has been sent, and go on under another lease; None where the lease was lost."""
        return self._change(
            room,
            "SET sent = :sent, sentAt = :at, betweenRounds = :between, pump = :renewed",
            "pump = :lease",
            {**_sent(lease, sent), ":renewed": {"S": renewed}},
            renewed,
        )

    def finish(self, room: str, lease: str, sent: Sent) -> Head | None:
        """Note what has been sent, and end the lease, unless there is more to send.

        Returns:
            The head where there is more, and the lease is held; None where the turn is over.
        """
        try:
            self._at_rest[room] = self._write(
                room,
                "SET sent = :sent, sentAt = :at, betweenRounds = :between REMOVE pump",
                "pump = :lease AND seq = :sent",
                _sent(lease, sent),
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            head = self._seen(room, error.response.get("Item", {}))
            return head if head.pump == lease else None
        return None

    def release(self, room: str, lease: str, sent: Sent) -> None:
        """Note what has been sent, and end the lease, whether there is more or not."""
        self._change(
            room,
            "SET sent = :sent, sentAt = :at, betweenRounds = :between REMOVE pump",
            "pump = :lease",
            _sent(lease, sent),
        )

    def members_changed(self, room: str, joined: int, *, heard: bool = True) -> Head | None:
        """Count members in or out, and give the membership another version. Personal rooms have none.

        Args:
            room: The room.
            joined: How many connections have come, or gone where it is negative.
            heard: Whether it matters to who is sent to: not where a connection has ended.

        Returns:
            The head after that; None where it is not counted exactly: one head cannot take more than 1,000
            writes a second, however many come and go.
        """
        if room.startswith("@"):
            return None
        size = self.remembered_members(room)
        exact = heard and size <= max(self._inline, LEAST_SAMPLED)
        every = 1 if exact else max(1, size // max(self._inline // SAMPLED_SHARE, LEAST_SAMPLED))
        if self._chance() * every >= 1:
            return None
        return self._update(
            room,
            "ADD membersVersion :one, members :joined SET expiresAt = if_not_exists(expiresAt, :expires)",
            {":one": _number(1), ":joined": _number(joined * every), ":expires": _number(self._expiry)},
        )

    def mend(self, room: str, members: int, version: int) -> Head | None:
        """Set the number of members of a membership that has been counted; None where it has changed."""
        return self._change(
            room,
            "SET members = :members",
            "membersVersion = :version",
            {":members": _number(members), ":version": _number(version)},
        )

    def plan_occupancy(self, room: str, due_ms: int, stale_ms: int) -> bool:
        """Take it upon oneself that a crowd is told how many it is; false where somebody has already.

        Args:
            room: The room.
            due_ms: Unix time in ms at which it is to be told.
            stale_ms: What was due before this time has not been done.
        """
        changed = self._change(
            room,
            "SET occupancyDue = :due",
            "attribute_not_exists(occupancyDue) OR occupancyDue < :stale",
            {":due": _number(due_ms), ":stale": _number(stale_ms)},
        )
        return changed is not None

    def occupancy_told(self, room: str) -> Head:
        """Let the next change plan anew: what comes now is told by another event."""
        return self._update(room, "REMOVE occupancyDue", {})

    def remembered_members(self, room: str) -> int:
        """How many are in a room, as this Lambda has last seen; 0 where it has not."""
        return self._sizes.get(room, 0)

    @property
    def _expiry(self) -> int:
        # After all its messages: a number must not come again while a message has it.
        return int(self._clock()) + self._kept + 2 * DAY

    def _next(self, lease: str) -> dict[str, Any]:
        return {
            ":one": _number(1),
            ":zero": _number(0),
            ":epoch": {"S": secrets.token_hex(8)},
            ":lease": {"S": lease},
            ":expires": _number(self._expiry),
        }

    def _update(self, room: str, expression: str, values: Mapping[str, Any]) -> Head:
        arguments: dict[str, Any] = {"ExpressionAttributeValues": values} if values else {}
        with translated():
            answer = write(
                self._client.update_item,
                TableName=self._table,
                Key=_key(room),
                UpdateExpression=expression,
                ReturnValues="ALL_NEW",
                **arguments,
            )
        return self._seen(room, answer.get("Attributes", {}))

    def _change(
        self, room: str, expression: str, condition: str, values: Mapping[str, Any], lease: str | None = None
    ) -> Head | None:
        """Update a head on a condition; None where it does not hold.

        A request whose answer was lost is made again, and may meet itself: a head that has the ``lease`` that
        this was to give it has been changed.
        """
        try:
            return self._write(room, expression, condition, values)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            head = self._seen(room, error.response.get("Item", {}))
            return head if lease is not None and head.pump == lease else None

    def _write(self, room: str, expression: str, condition: str, values: Mapping[str, Any]) -> Head:
        with translated(self._client.exceptions.ConditionalCheckFailedException):
            answer = write(
                self._client.update_item,
                TableName=self._table,
                Key=_key(room),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        return self._seen(room, answer["Attributes"])

    def _seen(self, room: str, item: Mapping[str, Any]) -> Head:
        """Read a head, and remember how large its room is."""
        head = _to_head(item)
        self._sizes[room] = head.members
        self._sizes.move_to_end(room)
        if len(self._sizes) > MOST_REMEMBERED:
            forgotten, _ = self._sizes.popitem(last=False)
            self._at_rest.pop(forgotten, None)
            self._restless.pop(forgotten, None)
        return head


def _key(room: str) -> dict[str, Any]:
    return {"roomId": {"S": room}, "entry": {"S": "head"}}


def _lease_time(seconds: float) -> str:
    return f"{int(seconds * 1000):015}"


def _sent(lease: str, sent: Sent) -> dict[str, Any]:
    return {
        ":lease": {"S": lease},
        ":sent": _number(sent.seq),
        ":at": _number(sent.at_ms),
        ":between": _number(sent.between_ms),
    }


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def _to_head(item: Mapping[str, Any]) -> Head:
    def number(attribute: str, default: int = 0) -> int:
        return int(item[attribute]["N"]) if attribute in item else default

    return Head(
        seq=number("seq"),
        epoch=item["epoch"]["S"] if "epoch" in item else None,
        # Of a log that is older than this attribute, everything has been sent.
        sent=number("sent", number("seq")),
        sent_at=number("sentAt"),
        between_ms=number("betweenRounds"),
        pump=item["pump"]["S"] if "pump" in item else None,
        members_version=number("membersVersion"),
        members=max(0, number("members")),
        occupancy_due=number("occupancyDue"),
    )
