"""What was said in a room: a numbered log in ``ChatMessages``.

The ``head`` of a room counts its messages. A message takes the next number from it by an atomic ADD,
and is then written under that number, unless somebody has sealed the number. A number can stay without a
message: its writer has died. The room's pump, which sends the messages in the order of their numbers,
waits for a missing one for a moment and then seals it, so that it never gets a message any more; a writer
who finds its number sealed takes another one. So up to ``sent``, every number of a log has an item: a
message, or a seal.

A client's reference is claimed before a number is taken, so that a repeat takes none: see ``claims``.
"""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ..errors import StorageUnavailable
from .claims import Claim, Claims
from .faults import TRIES, translated
from .heads import DAY, Head, Heads, Sent
from .new_items import NewItems, to_number

# How long a reference is remembered where messages are not stored.
REF_DAYS_WITHOUT_HISTORY = 1
# How long messages are there for the pump alone, where they are not stored, in s.
KEPT_FOR_PUMP = 60
# How long somebody else with the same reference is waited for, in s, and how often it is looked.
CLAIM_SECONDS = 0.5
LOOK_SECONDS = 0.05
# Messages that a pump reads at once.
MOST_UNSENT = 200
# Items that one request for history reads beyond those that were asked for.
SPARE = 50


@dataclass(frozen=True)
class Draft:
    """A message before it has a number.

    Attributes:
        room: Room that it is said in; ``@name`` for a private one.
        sender: The sender's name; None for a nameless one.
        text: What is said.
        sent_at: Unix time in ms.
        user: The user that ``ref`` belongs to.
        ref: The client's reference.
    """

    room: str
    sender: str | None
    text: str
    sent_at: int
    user: str
    ref: str | None = None


@dataclass(frozen=True)
class Stored:
    """A message of the log.

    Attributes:
        room: Room that it is said in; ``@name`` for a private one.
        seq: Its number in the room.
        epoch: The numbering that this is of.
        id: Unique among all messages.
        sender: The sender's name; None for a nameless one.
        text: What is said.
        sent_at: Unix time in ms.
    """

    room: str
    seq: int
    epoch: str
    id: str
    sender: str | None
    text: str
    sent_at: int


@dataclass(frozen=True)
class Receipt:
    """What became of a draft.

    Attributes:
        stored: The message, as it is in the log.
        head: The room when the message took its number, or later.
        lease: The lease that was offered, where it is the room's now: its holder is to send the message.
        duplicate: The reference had been accepted before; ``stored`` has the number and the id of the message
            that it was used for.
    """

    stored: Stored
    head: Head
    lease: str | None = None
    duplicate: bool = False


@dataclass(frozen=True)
class Unsent:
    """What a pump is to send next.

    Attributes:
        messages: Ascending in ``seq``.
        through: Every number up to this one has a message here, or is sealed.
        hole: The number after that, where it is taken and has no message yet.
    """

    messages: list[Stored]
    through: int
    hole: int | None


@dataclass(frozen=True)
class Page:
    """A part of a room's log.

    Attributes:
        position: Where the log was before the part was read.
        messages: Ascending in ``seq``.
        through: Everything up to this number, from where was asked for, is here.
        more: There are further messages in the direction of reading.
        complete: Nothing that was asked for is missing.
    """

    position: Head
    messages: list[Stored]
    through: int
    more: bool
    complete: bool


class Messages:
    """Writes and reads the logs of rooms.

    Args:
        client: boto3's DynamoDB client.
        table: The table.
        heads: The heads of the logs.
        history_days: How long messages are kept; 0 for not at all.
        clock: Unix time in s.
        sleep: Waits that many s.

    All methods raise ``StorageUnavailable`` when DynamoDB does not do it.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        heads: Heads,
        history_days: int,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._heads = heads
        self._history = history_days > 0
        self._kept = history_days * DAY or KEPT_FOR_PUMP
        self._refs_kept = history_days * DAY or REF_DAYS_WITHOUT_HISTORY * DAY
        self._clock = clock
        self._sleep = sleep
        self._numbers = NewItems(client, table, clock)
        self._claims = Claims(client, table, self._refs_kept, clock)

    def position(self, room: str) -> Head:
        """Read where a room's log is."""
        return self._heads.read(room)

    def append(self, draft: Draft, lease: str) -> Receipt:
        """Give a message its number and store it; it is stored when this returns.

        With a reference that was accepted before, nothing is stored and the first message's receipt comes
        back, marked as a duplicate. The reference counts for its user and room.

        Args:
            draft: The message.
            lease: For whoever finds the room without a pump. Where this fails after it has taken the lease,
                the lease is given back if that can be done.
        """
        if draft.ref is None:
            with translated():
                return self._store(draft, lease)
        # In a room at rest, the next number is known; without history, what became of it would not be.
        rest = self._heads.at_rest(draft.room) if self._history else None
        claim = Claim(secrets.token_hex(8), secrets.token_hex(4))
        if rest is not None:
            claim = replace(claim, seq=rest.seq + 1, epoch=rest.epoch or "")
        with translated():
            there = self._claims.take(_ref_key(draft), claim)
            if there is None:
                return self._store(draft, lease, claim, rest)
            first = self._find(draft, there)
            return first if isinstance(first, Receipt) else self._store(draft, lease, first)

    def unsent(self, room: str, head: Head) -> Unsent:
        """Read what is to be sent of a room, up to the last number of a head or as far as one query goes."""
        if head.epoch is None or head.sent >= head.seq:
            return Unsent([], head.seq, None)
        with translated():
            found, reached = self._items(room, head.epoch, head.sent + 1, head.seq, True, MOST_UNSENT)
        items = {_seq(item): item for item in found}
        through = head.sent
        messages = []
        while through + 1 in items:
            through += 1
            if "message" in items[through]:
                messages.append(_to_stored(items[through]))
        last = head.seq if reached is None else reached
        return Unsent(messages, through, through + 1 if through < last else None)

    def sealed(self, room: str, head: Head) -> Unsent:
        """Read what ``unsent`` does, and seal the numbers that have no message: they will not get one."""
        with translated():
            found, reached = self._items(room, head.epoch or "", head.sent + 1, head.seq, True, MOST_UNSENT)
            items = {_seq(item): item for item in found}
            last = head.seq if reached is None else reached
            for seq in range(head.sent + 1, last + 1):
                if seq not in items:
                    items[seq] = self._seal(room, head.epoch or "", seq)
        messages = [_to_stored(items[seq]) for seq in sorted(items) if "message" in items[seq]]
        return Unsent(messages, last, None)

    def _seal(self, room: str, epoch: str, seq: int) -> dict[str, Any]:
        """Seal a number, unless it has just got its message; what it has then."""
        # A seal stands as long as a reference that may point to it.
        item = self._item(room, epoch, seq, max(self._kept, self._refs_kept))
        return self._put_number(item) or item

    def page(
        self,
        room: str,
        limit: int,
        *,
        after: int | None = None,
        before: int | None = None,
        epoch: str | None = None,
    ) -> Page:
        """Read a part of a room's log, in one query: the newest, or what comes after or before a number.

        It ends before the first number that is taken and has no message yet: the pump will send that, or seal
        it.

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
        if after is not None and not same_log:
            after = 0
        if log is None or not self._history:
            return Page(
                position, [], max(after or 0, position.sent), False, complete=same_log and self._history
            )
        forward = after is not None
        low = 0 if after is None else after + 1
        high = position.seq if before is None else min(before - 1, position.seq)
        if not forward:
            # What is read has to go back to what has been sent: only so is it known that none is missing.
            high = min(high, position.sent + SPARE)
        items: list[dict[str, Any]] = []
        reached = None
        if low <= high:
            with translated():
                items, reached = self._items(room, log, low, high, forward, limit + SPARE)
        found = items if forward else items[::-1]
        # Whoever asks for what comes after a number has got everything up to it.
        settled = max(position.sent, after or 0)
        items = _before_hole(found, settled)
        kept = _limited(items, limit, forward)
        # Beyond a number that can still get a message there is nothing to read yet.
        stopped = forward and len(items) < len(found)
        more = len(kept) < len(items) or (reached is not None and not stopped)
        last = _seq(kept[-1]) if kept else 0
        if not forward or not more:
            # What is not there of what has been sent has expired.
            through = max(last, min(settled, high), after or 0)
        elif len(kept) < len(items):
            through = last
        else:
            through = min(reached or last, max(last, settled))
        messages = [_to_stored(item) for item in kept if "message" in item]
        # The number before the first of those that must be there.
        first = after or 0
        if not forward and (more or len(messages) == limit):
            first = _seq(kept[0]) - 1 if kept else through
        whole = (after is None or after <= position.seq) and through - first == len(kept)
        return Page(position, messages, through, more, complete=same_log and whole)

    def _store(
        self, draft: Draft, lease: str, claim: Claim | None = None, rest: Head | None = None
    ) -> Receipt:
        """Take a number and store a message under it, under another one where it has been sealed.

        Args:
            draft: The message.
            lease: For whoever finds the room without a pump.
            claim: The claim of its reference as it is; None where it has none.
            rest: The room at rest, where the claim is for the number after that.
        """
        head: Head | None = None
        message_id = claim.id if claim else secrets.token_hex(8)
        owner = claim.owner if claim and rest else secrets.token_hex(4)
        try:
            for _ in range(TRIES):
                head = self._heads.next_after(rest, draft.room, lease) if rest else None
                is_claimed = head is not None
                rest = None
                if head is None:
                    head = self._heads.next_message(draft.room, lease)
                stored = _as_stored(draft, head.seq, head.epoch or "", message_id)
                mine = lease if head.pump == lease else None
                if claim is not None and not is_claimed:
                    moved = Claim(message_id, owner, stored.seq, stored.epoch)
                    other = self._claims.move(_ref_key(draft), claim, moved)
                    if other is not None and other.id == message_id:
                        # Somebody with the same reference was faster; the number stays without a message.
                        first = self._find(draft, other)
                        if isinstance(first, Receipt):
                            return replace(first, head=head, lease=mine)
                        claim = first
                        continue
                    claim = moved
                if self._put_message(stored):
                    return Receipt(stored, head, mine)
            raise StorageUnavailable
        except Exception:
            self._give_back(draft.room, lease, head)
            raise

    def _give_back(self, room: str, lease: str, head: Head | None) -> None:
        """Leave the room to the next publisher at once, where that can be done."""
        if head is not None and head.pump == lease:
            with suppress(StorageUnavailable):
                self._heads.release(room, lease, Sent(head.sent, head.sent_at, head.between_ms))

    def _find(self, draft: Draft, claim: Claim) -> Receipt | Claim:
        """Find the message that a reference was used for.

        Returns:
            Its receipt; the claim as it is, where the message is not stored, nor will be under its number.
        """
        waited = 0.0
        while (receipt := self._found(draft, claim)) is None and waited < CLAIM_SECONDS:
            # Its writer is under way, or has died.
            self._sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
            claim = self._claims.read(_ref_key(draft)) or claim
        if receipt is not None:
            return receipt
        if claim.seq is not None:
            there = self._seal(draft.room, claim.epoch, claim.seq)
            if there.get("id") == {"S": claim.id}:
                return self._found(draft, claim) or claim
        return claim

    def _found(self, draft: Draft, claim: Claim) -> Receipt | None:
        """The message of a claim, where it has been stored."""
        if claim.seq is None:
            return None
        head = self._heads.read(draft.room)
        item = self._numbers.get(_key(draft.room, _entry(claim.seq)))
        of_this_log = claim.epoch == head.epoch
        if of_this_log and item is None and claim.seq > head.sent:
            return None
        if of_this_log and item is not None and item.get("id") != {"S": claim.id}:
            return None
        # What is not there any more has expired.
        return Receipt(_as_stored(draft, claim.seq, claim.epoch, claim.id), head, duplicate=True)

    def _put_message(self, stored: Stored) -> bool:
        """Store a message under its number; False where the number has been sealed."""
        item = {
            **self._item(stored.room, stored.epoch, stored.seq, self._kept),
            "id": {"S": stored.id},
            "message": {"S": stored.text},
            "sentAt": to_number(stored.sent_at),
        }
        if stored.sender is not None:
            item["from"] = {"S": stored.sender}
        there = self._put_number(item)
        # A put whose answer was lost is made again, and meets itself.
        return there is None or there.get("id") == {"S": stored.id}

    def _put_number(self, item: dict[str, Any]) -> dict[str, Any] | None:
        """Use a number, unless this log has used it: another log's does not count."""
        return self._numbers.put(item, "epoch <> :epoch", {":epoch": item["epoch"]})

    def _item(self, room: str, epoch: str, seq: int, kept: int) -> dict[str, Any]:
        """The item of a number: sealed as it is, and a message with more in it."""
        return {
            **_key(room, _entry(seq)),
            "seq": to_number(seq),
            "epoch": {"S": epoch},
            "expiresAt": self._numbers.expiry(kept),
        }

    def _items(
        self, room: str, epoch: str, low: int, high: int, forward: bool, limit: int
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Read the items of a log that have not expired, by one query.

        Returns:
            The items, and the number that was read up to; None where that is all.
        """
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="roomId = :room AND entry BETWEEN :low AND :high",
            ExpressionAttributeValues={
                ":room": {"S": room},
                ":low": {"S": _entry(low)},
                ":high": {"S": _entry(high)},
            },
            ScanIndexForward=forward,
            ConsistentRead=True,
            Limit=limit,
        )
        now = self._clock()
        items = [
            item
            for item in answer["Items"]
            if item["epoch"]["S"] == epoch and int(item["expiresAt"]["N"]) > now
        ]
        last = answer.get("LastEvaluatedKey")
        return items, int(last["entry"]["S"].partition("#")[2]) if last else None


def _before_hole(items: list[dict[str, Any]], settled: int) -> list[dict[str, Any]]:
    """Leave out what comes after a number that can still get a message: none up to ``settled`` can."""
    for place, item in enumerate(items):
        if _seq(item) > settled + 1:
            return items[:place]
        settled = max(settled, _seq(item))
    return items


def _limited(items: list[dict[str, Any]], limit: int, forward: bool) -> list[dict[str, Any]]:
    """Keep so many messages, the first or the last, and the sealed numbers among them."""
    places = [place for place, item in enumerate(items) if "message" in item]
    if len(places) <= limit:
        return items
    return items[: places[limit]] if forward else items[places[-limit - 1] + 1 :]


def _key(room: str, entry: str) -> dict[str, Any]:
    return {"roomId": {"S": room}, "entry": {"S": entry}}


def _entry(seq: int) -> str:
    return f"seq#{seq:016}"


def _ref_key(draft: Draft) -> dict[str, Any]:
    return _key(draft.room, f"ref#{draft.user}#{draft.ref}")


def _seq(item: dict[str, Any]) -> int:
    return int(item["seq"]["N"])


def _as_stored(draft: Draft, seq: int, epoch: str, message_id: str) -> Stored:
    return Stored(draft.room, seq, epoch, message_id, draft.sender, draft.text, draft.sent_at)


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
