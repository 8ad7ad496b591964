"""What was said in a room: a numbered log in ``ChatMessages``.

The ``head`` of a room counts its messages. A message takes the next number from it by an atomic ADD,
and is then written under that number, unless somebody has sealed the number: a reader that finds a
number missing between two messages seals it, so that whatever a reader has not seen there will never
be there. The writer takes another number then. So numbers may be missing, but never arrive late.

With a client's reference, the message and the reference are written in one transaction, so that a
reference is accepted once.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import StorageUnavailable
from .faults import CONDITION_FAILED, TRIES, transact, translated, write
from .heads import DAY, Head, Heads
from .pages import live_pages

# How long a reference is remembered where messages are not stored.
REF_DAYS_WITHOUT_HISTORY = 1


@dataclass(frozen=True)
class Draft:
    """A message before it has a number.

    Attributes:
        room: Room that it is said in; ``@name`` for a private one.
        sender: The sender's name; None for a nameless one.
        text: What is said.
        sent_at: Unix time in ms.
        user: Whose references ``ref`` is one of.
        ref: The client's reference.
    """

    room: str
    sender: str | None
    text: str
    sent_at: int
    user: str
    ref: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What became of a draft.

    Attributes:
        seq: Its number in the room.
        epoch: The numbering that this is of.
        id: Unique among all messages.
        duplicate: The reference had been accepted before; the rest is of the message it was used for.
        members_version: The membership that the room had when the message took its number.
    """

    seq: int
    epoch: str
    id: str
    duplicate: bool = False
    members_version: int = 0


@dataclass(frozen=True)
class Stored:
    """A message of the log, as ``Draft`` and ``Receipt`` have it."""

    room: str
    seq: int
    epoch: str
    id: str
    sender: str | None
    text: str
    sent_at: int


@dataclass(frozen=True)
class Page:
    """A part of a room's log.

    Attributes:
        position: Where the log was before the part was read.
        messages: Ascending in ``seq``.
        more: There are further messages in the direction of reading.
        complete: Nothing that was asked for is missing.
    """

    position: Head
    messages: list[Stored]
    more: bool
    complete: bool


class Messages:
    """Writes and reads the logs of rooms.

    Args:
        client: boto3's DynamoDB client.
        table: The table.
        history_days: How long messages are kept; 0 for not at all.
        clock: Unix time in s.

    All methods raise ``StorageUnavailable`` when DynamoDB does not do it.
    """

    def __init__(
        self, client: Any, table: str, history_days: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._table = table
        self._kept = history_days * DAY
        self._clock = clock
        self._heads = Heads(client, table, history_days, clock)

    def position(self, room: str) -> Head:
        """Read where a room's log is."""
        return self._heads.read(room)

    def append(self, draft: Draft) -> Receipt:
        """Give a message its number and store it; it is stored when this returns.

        With a reference that was accepted before, nothing is stored and the first receipt comes back,
        marked as a duplicate. The reference counts for its user and room.
        """
        message_id = secrets.token_hex(8)
        with translated():
            for _ in range(TRIES):
                head = self._heads.next_message(draft.room)
                receipt = Receipt(
                    head.seq, head.epoch or "", message_id, members_version=head.members_version
                )
                accepted = self._store(draft, receipt)
                if accepted is not None:
                    return accepted
        raise StorageUnavailable

    def page(
        self,
        room: str,
        limit: int,
        *,
        after: int | None = None,
        before: int | None = None,
        epoch: str | None = None,
    ) -> Page:
        """Read a part of a room's log: the newest, or what comes after or before a number.

        Args:
            room: The room.
            limit: Most messages to read.
            after: Read on from here; with an ``epoch`` that is not the room's, from its beginning.
            before: Read back from here.
            epoch: The numbering that ``after`` or ``before`` is of, where that is known.
        """
        position = self.position(room)
        log = position.epoch
        same_log = epoch in (None, log)
        if log is None:
            return Page(position, [], more=False, complete=same_log and self._kept > 0)
        if after is not None and not same_log:
            after = 0
        with translated():
            items = self._read(room, log, limit + 1, after, before)
            whole = self._from_the_start(room, log, position, items, limit, after, before)
            items = self._without_holes(room, log, items, after if whole else None)
        messages = [_to_stored(item) for item in items if "message" in item]
        more = len(messages) > limit
        if more:
            messages = messages[:limit] if after is not None else messages[-limit:]
        return Page(position, messages, more, complete=same_log and whole and self._kept > 0)

    def _store(self, draft: Draft, receipt: Receipt) -> Receipt | None:
        """Write a message, its reference, or both; None where its number has been sealed."""
        puts = []
        if self._kept:
            puts.append(self._put_message(draft, receipt))
        if draft.ref is not None:
            puts.append(self._put_ref(draft, receipt))
        if not puts:
            return receipt
        reasons = transact(self._client, puts) if len(puts) > 1 else self._put(puts[0])
        if not reasons:
            return receipt
        first = reasons[-1].get("Item") if draft.ref is not None else None
        if first is not None:
            if self._kept:
                self._seal(draft.room, receipt.epoch, receipt.seq)
            return Receipt(int(first["seq"]["N"]), first["epoch"]["S"], first["id"]["S"], duplicate=True)
        # A put whose answer was lost is tried again by botocore, and meets itself.
        mine = reasons[0].get("Item", {}).get("id") == {"S": receipt.id}
        return receipt if mine else None

    def _put(self, put: dict[str, Any]) -> list[dict[str, Any]]:
        """Make one put of a transaction alone, at half the price; the answer is that of ``transact``."""
        try:
            write(self._client.put_item, **put["Put"])
        except self._client.exceptions.ConditionalCheckFailedException as error:
            return [{"Code": CONDITION_FAILED, "Item": error.response.get("Item", {})}]
        return []

    def _put_message(self, draft: Draft, receipt: Receipt) -> dict[str, Any]:
        item = {
            **self._number(draft.room, receipt.epoch, receipt.seq),
            "id": {"S": receipt.id},
            "message": {"S": draft.text},
            "sentAt": {"N": str(draft.sent_at)},
        }
        if draft.sender is not None:
            item["from"] = {"S": draft.sender}
        return self._put_number(item)

    def _put_ref(self, draft: Draft, receipt: Receipt) -> dict[str, Any]:
        kept = self._kept or REF_DAYS_WITHOUT_HISTORY * DAY
        item = {
            **_key(draft.room, f"ref#{draft.user}#{draft.ref}"),
            "seq": {"N": str(receipt.seq)},
            "epoch": {"S": receipt.epoch},
            "id": {"S": receipt.id},
            "expiresAt": {"N": str(int(self._clock()) + kept)},
        }
        # It is its user's, whatever log the room had when it was used.
        return self._put_new(item)

    def _put_number(self, item: dict[str, Any]) -> dict[str, Any]:
        """Use a number, unless this log has used it: another log's does not count."""
        return self._put_new(item, " OR epoch <> :epoch", {":epoch": item["epoch"]})

    def _put_new(
        self, item: dict[str, Any], unless: str = "", values: Mapping[str, Any] = MappingProxyType({})
    ) -> dict[str, Any]:
        """Put an item where there is none; one that is there comes back in the refusal."""
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": f"attribute_not_exists(entry) OR expiresAt <= :now{unless}",
                "ExpressionAttributeValues": {":now": {"N": str(int(self._clock()))}, **values},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _seal(self, room: str, epoch: str, seq: int) -> dict[str, Any]:
        """See to it that a number will not be used any more; the message where it has been already."""
        item = self._number(room, epoch, seq)
        there = self._put(self._put_number(item))
        return there[0]["Item"] if there else item

    def _number(self, room: str, epoch: str, seq: int) -> dict[str, Any]:
        """The item of a number: sealed as it is, and a message with more in it."""
        return {
            **_key(room, _entry(seq)),
            "seq": {"N": str(seq)},
            "epoch": {"S": epoch},
            "expiresAt": {"N": str(int(self._clock()) + self._kept)},
        }

    def _read(
        self, room: str, epoch: str, wanted: int, after: int | None, before: int | None
    ) -> list[dict[str, Any]]:
        """Read until there are enough messages, sealed numbers not counted; ascending."""
        low = 0 if after is None else after + 1
        high = _LAST if before is None else before - 1
        items: list[dict[str, Any]] = []
        if low <= high:
            for item in self._items(room, epoch, low, high, forward=after is not None):
                items.append(item)
                wanted -= "message" in item
                if not wanted:
                    break
        return items if after is not None else items[::-1]

    def _items(self, room: str, epoch: str, low: int, high: int, forward: bool) -> Iterator[dict[str, Any]]:
        """Read the messages and sealed numbers of a log that have not expired."""
        pages = live_pages(
            self._client.query,
            self._clock,
            TableName=self._table,
            KeyConditionExpression="roomId = :room AND entry BETWEEN :low AND :high",
            ExpressionAttributeValues={
                ":room": {"S": room},
                ":low": {"S": _entry(low)},
                ":high": {"S": _entry(high)},
            },
            ScanIndexForward=forward,
            ConsistentRead=True,
            Limit=128,
        )
        return (item for page in pages for item in page if item["epoch"]["S"] == epoch)

    def _from_the_start(
        self,
        room: str,
        log: str,
        position: Head,
        items: list[dict[str, Any]],
        limit: int,
        after: int | None,
        before: int | None,
    ) -> bool:
        """Whether nothing has expired of what was asked for before the first item that was read."""
        if self._clock() < position.since + self._kept:
            return after is None or after <= position.seq
        first = _seq(items[0]) if items else None
        if after is None:
            return first == 1 or before in (0, 1) or sum("message" in item for item in items) >= limit
        if after >= position.seq or first == after + 1:
            return after <= position.seq
        # What came before it has not expired, so what came after it has not.
        return any(True for _ in self._items(room, log, 0, after, forward=False))

    def _without_holes(
        self, room: str, epoch: str, items: list[dict[str, Any]], after: int | None
    ) -> list[dict[str, Any]]:
        """Seal the numbers that are missing between the items, or fill in what has just been written.

        With ``after``, the numbers from there to the first item too.
        """
        if not items:
            return []
        known = {_seq(item): item for item in items}
        start = min(known) if after is None else after + 1
        for seq in range(start, max(known)):
            if seq not in known:
                known[seq] = self._seal(room, epoch, seq)
        return [known[seq] for seq in sorted(known)]


# No number has more digits in an entry.
_LAST = 10**16 - 1


def _key(room: str, entry: str) -> dict[str, Any]:
    return {"roomId": {"S": room}, "entry": {"S": entry}}


def _entry(seq: int) -> str:
    return f"seq#{seq:016}"


def _seq(item: dict[str, Any]) -> int:
    return int(item["seq"]["N"])


def _to_stored(item: dict[str, Any]) -> Stored:
    return Stored(
        room=item["roomId"]["S"],
        seq=_seq(item),
        epoch=item["epoch"]["S"],
        id=item["id"]["S"],
        sender=item["from"]["S"] if "from" in item else None,
        text=item["message"]["S"],
        sent_at=int(item["sentAt"]["N"]),
    )
