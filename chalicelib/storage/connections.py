"""The live connections: one item each in ``Chat``, one membership for each of its rooms."""

import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..auth.identity import Identity
from ..aws.retries import pause
from ..errors import ChatError, StorageUnavailable
from ..wire.lookalikes import skeleton
from .bucket import Bucket
from .connection import Connection, from_item, personal_room
from .directory import Directory
from .faults import CONDITION_FAILED, TRIES, transact, translated, write
from .heads import Head, Heads
from .names import Names
from .presence import Change, Crossing, Presence
from .rooms import Member
from .rows import Rows, to_key, to_membership_key

# BatchWriteItem takes no more.
BATCH = 25
# Refused frames within a minute above which a connection is closed. Who waits for ``retryAfter`` has
# one in a second at most.
MOST_REFUSED = 100
REFUSED_MS = 60_000
# Connections with half of that which a Lambda remembers: they may be closed at any moment.
MOST_FLOODING = 1000


@dataclass(frozen=True)
class Arrival:
    """A frame that has come.

    Attributes:
        connection: Whose it is; None where there is none, or it has expired.
        wait_seconds: 0, or the time after which such a frame is served again.
        one_too_many: It is the refused frame for which the connection is to be closed: one of many that
            come at once.
        closing: The connection is being closed for its refused frames, by the handler of another one, or has
            just been.
    """

    connection: Connection | None
    wait_seconds: int = 0
    one_too_many: bool = False
    closing: bool = False


class Connections:
    """Registers connections and their memberships, moves them, and removes both.

    Every method may run twice, and may run after the other handlers of the same connection:
    ``$disconnect`` can come before ``$connect`` is done, or never. All return the changes that the others in
    the rooms are to see, and raise ``StorageUnavailable`` when DynamoDB does not do it.

    A crash can come between any two calls. When a connection that lives joins a room, its name is there
    before its membership is, so that no ``leave`` is seen while it is there; when it goes, its name goes
    before its membership, so that whoever meets the membership that is left over can do the rest. After both
    comes the version of the room's membership: who has heard it sees the membership too. The connection
    itself is registered last of all, so nothing that can fail comes after what makes it count.

    Args:
        client: boto3's DynamoDB client.
        table: Table of the connections.
        rooms_table: Table of the memberships.
        heads: Where each room's version and size are.
        clock: Unix time in s.
        most_per_name: Connections that a name can have.
        bucket: How fast a connection may send, and a name over all its connections; None for any speed.
        seconds: Lifetime of a connection.
        presence_members: Members of a room up to which it hears who comes and goes.
        most_rooms: Rooms that a connection can be in, its personal room not counted.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        rooms_table: str,
        heads: Heads,
        clock: Callable[[], float] = time.time,
        most_per_name: int = 20,
        bucket: Bucket | None = None,
        seconds: int = 7260,
        presence_members: int = 100,
        most_rooms: int = 50,
    ) -> None:
        self._client = client
        self._table = table
        self._rooms_table = rooms_table
        self._heads = heads
        self._clock = clock
        self._bucket = bucket
        self._rows = Rows(table, rooms_table)
        self._names = Names(client, rooms_table, most_per_name, bucket, clock, seconds)
        self._presence = Presence(client, rooms_table, clock)
        self._presence_members = presence_members
        self._most_rooms = most_rooms
        # When each was refused last (Unix, in ms); the latest is the last.
        self._flooding: OrderedDict[str, int] = OrderedDict()
        self.directory = Directory(client, rooms_table, seconds, clock)

    def add(self, connection: Connection) -> list[Change]:
        """Register a connection and its memberships. One that is there stays as it is.

        What is written before the connection itself is taken back where that fails. Where it cannot be,
        whoever meets a membership without a connection removes it.

        Raises:
            Forbidden: Its name has as many connections as it can, or looks like another's.
        """
        if self.get(connection.id) is not None:
            return []
        changes: list[Change] = []
        try:
            # The memberships first: whoever meets one that is left over takes the name out of the room too.
            memberships = self._rows.put_memberships(connection, connection.rooms, connection.connected_at)
            self._write_memberships(memberships)
            crossings = self._arrive(connection, connection.public_rooms)
            for room in sorted(connection.rooms):
                changes += self._changed([room], crossings, 1)
            self._register(connection)
        except ChatError:
            with suppress(StorageUnavailable):
                # Whether it was registered is not known where no answer came.
                self._take_back(connection, counted={change.room for change in changes})
            raise
        with suppress(StorageUnavailable):
            self._note_others(connection)
        return changes

    def get(self, connection_id: str) -> Connection | None:
        """Read a connection; None where there is none, or it has expired."""
        with translated():
            answer = self._client.get_item(
                TableName=self._table, Key=to_key(connection_id), ConsistentRead=True
            )
        return self._live(answer.get("Item"))

    def serve(self, connection_id: str, cost: int = 1) -> Arrival:
        """Read the connection that a frame has come from, and let it send no faster than it may.

        Args:
            connection_id: Its id.
            cost: Tokens that the frame takes from its bucket, and from its name's where others have that.
        """
        if self._bucket is None:
            return Arrival(self.get(connection_id))
        now_ms = int(self._clock() * 1000)
        wait = 0
        with translated():
            try:
                item = write(
                    self._client.update_item,
                    TableName=self._table,
                    Key=to_key(connection_id),
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **self._bucket.take(cost, now_ms, "attribute_exists(connectionid)"),
                )["Attributes"]
            except self._client.exceptions.ConditionalCheckFailedException as error:
                item = error.response.get("Item")
                wait = self._bucket.wait_seconds(item, cost, now_ms) if item else 0
        connection = self._live(item)
        if connection is None:
            # What was under way when it was closed may come after it was removed.
            return Arrival(None, closing=now_ms - self._flooding.get(connection_id, 0) < REFUSED_MS)
        refused = _refused_lately(item, now_ms)
        if refused > MOST_REFUSED // 2:
            self._note_flooding(connection_id, now_ms)
        if refused > MOST_REFUSED:
            return Arrival(connection, wait, closing=True)
        if connection.shared and connection.name is not None and not wait:
            wait = self._names.take(connection.name, cost, now_ms)
        refused = self._count_refused(connection.id, refused, now_ms) if wait else 0
        return Arrival(
            connection,
            wait,
            one_too_many=refused == MOST_REFUSED + 1,
            closing=refused > MOST_REFUSED + 1,
        )

    def _note_flooding(self, connection_id: str, now_ms: int) -> None:
        self._flooding[connection_id] = now_ms
        self._flooding.move_to_end(connection_id)
        if len(self._flooding) > MOST_FLOODING:
            self._flooding.popitem(last=False)

    def _count_refused(self, connection_id: str, before: int, now_ms: int) -> int:
        """Count a refused frame of a connection that had so many before; how many there are now."""
        # The frame is refused whether it is counted or not.
        with suppress(StorageUnavailable):
            if not before:
                # Of several that come at once, one begins to count.
                began = self._update_refused(
                    connection_id,
                    "SET refused = :one, refusedSince = :now",
                    "attribute_exists(connectionid)"
                    " AND (attribute_not_exists(refusedSince) OR refusedSince <= :ago)",
                    {":now": {"N": str(now_ms)}, ":ago": {"N": str(now_ms - REFUSED_MS)}},
                )
                if began:
                    return began
            return self._update_refused(
                connection_id, "ADD refused :one", "attribute_exists(refusedSince)", {}
            )
        return 0

    def _update_refused(
        self, connection_id: str, expression: str, condition: str, values: dict[str, Any]
    ) -> int:
        """Change the count of refused frames; what it is then, 0 where the condition does not hold."""
        with translated(), suppress(self._client.exceptions.ConditionalCheckFailedException):
            answer = write(
                self._client.update_item,
                TableName=self._table,
                Key=to_key(connection_id),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeValues={":one": {"N": "1"}, **values},
                ReturnValues="ALL_NEW",
            )
            return int(answer["Attributes"]["refused"]["N"])
        return 0

    def join(self, connection: Connection, room: str) -> Change:
        """Make a connection a member of a room.

        Raises:
            StorageUnavailable: Also where the connection has been renamed or removed, or has joined so many
                rooms, meanwhile.
        """
        crossings = self._arrive(connection, [room])
        if room in connection.rooms:
            # Its name may be missing there, after a leave that was not done to the end, or the
            # membership may have no version yet, after a join that was not.
            return self._changed([room], crossings, 0)[0]
        # The personal room of a name is not counted.
        most = self._most_rooms + (connection.name is not None)
        writes = self._rows.join(connection, room, int(self._clock() * 1000), most)
        with translated():
            reasons = transact(self._client, writes)
        if reasons:
            self._depart(connection, [room])
            raise StorageUnavailable
        return self._changed([room], crossings, 1)[0]

    def leave(self, connection: Connection, room: str) -> Change:
        """End a connection's membership of a room.

        Raises:
            StorageUnavailable: Also where the connection has been renamed or removed meanwhile.
        """
        crossings = self._depart(connection, [room])
        with translated():
            reasons = transact(self._client, self._rows.leave(connection, room))
        if reasons:
            raise StorageUnavailable
        return self._changed([room], crossings, -1)[0]

    def rename(self, connection: Connection, name: str) -> list[Change]:
        """Give a connection a name, in all its rooms and in its personal one, all or none.

        Raises:
            Forbidden: The name has as many connections as it can, or looks like another's.
            StorageUnavailable: Also where the connection has been removed, or keeps changing.
        """
        if connection.name == name:
            return []
        changes = self._alter(connection, lambda now: now.named(name))
        self._note_others(connection.named(name))
        return changes

    def renew(self, connection: Connection, identity: Identity) -> list[Change]:
        """Renew a connection's session with a newer token of the same name; the token in use changes nothing.

        Raises:
            StorageUnavailable: Also where the connection has been removed, or keeps changing.
        """
        if connection.identified(identity) == connection:
            return []
        return self._alter(connection, lambda now: now.identified(identity))

    def _alter(self, connection: Connection, changed: Callable[[Connection], Connection]) -> list[Change]:
        """Change a connection's name or token in all its rows, all or none."""
        for attempt in range(1, TRIES + 1):
            new = changed(connection)
            # Where neither name nor expiry changes, what is in the rooms already stays as it is.
            moves = (new.name, new.counts_until) != (connection.name, connection.counts_until)
            arrived = self._arrive(new, new.public_rooms) if moves else {}
            writes = [
                self._rows.change(connection, new),
                # Second, as in ``add``: see ``_refused``.
                *(self._claim(new) if new.name != connection.name else ()),
                *(self._rows.move(connection, new, int(self._clock() * 1000)) if moves else ()),
            ]
            with translated():
                reasons = transact(self._client, writes)
            # Or it has joined, left, gone or taken a name since it was read.
            left = new if reasons else connection
            departed = self._depart(left, left.public_rooms) if moves else {}
            if not reasons:
                if connection.name is not None and skeleton(new.name or "") != skeleton(connection.name):
                    # Otherwise the claim of the old name has become that of the new one.
                    self._release(connection)
                crossings = {room: arrived.get(room, []) + departed.get(room, []) for room in new.rooms}
                return self._changed(new.rooms, crossings, 0) if moves else []
            if new.name != connection.name:
                self._refused(new, reasons)
            now = self.get(connection.id)
            if now is None:
                break
            connection = now
            pause(attempt)
        raise StorageUnavailable

    def remove(self, connection_id: str) -> list[Change] | None:
        """Remove a connection and its memberships; None where there was none."""
        connection = self._unregister(connection_id)
        return None if connection is None else self._clear([connection])

    def remove_gone(self, members: Sequence[Member], room: str | None) -> list[Change]:
        """Remove connections that are gone; what has been removed already is left out.

        Args:
            members: Who is gone.
            room: The room whose members they are: a membership there may have outlived its connection.
        """
        gone = []
        for member in members:
            connection = self._unregister(member.id)
            if connection is not None:
                gone.append(connection)
            elif room is not None and self._remove_left_over(member, room):
                gone.append(_left_over(member, room))
        return self._clear(gone)

    def _remove_left_over(self, member: Member, room: str) -> bool:
        """Remove a membership that has outlived its connection; false where it is gone too."""
        with translated():
            answer = write(
                self._client.delete_item,
                TableName=self._rooms_table,
                Key=to_membership_key(member.id, room),
                ReturnValues="ALL_OLD",
            )
        if "Attributes" not in answer:
            return False
        if member.name is not None:
            self._names.forget(member.name, member.id)
        return True

    def mend(self, room: str, members: int, head: Head) -> None:
        """Put the number of members of a room right, now that they have been counted. It does not fail.

        Args:
            room: The room.
            members: How many they were.
            head: The room before they were read.
        """
        if members != head.members and head.members_version:
            with suppress(StorageUnavailable):
                mended = self._heads.mend(room, members, head.members_version)
                if mended is not None:
                    self.directory.note(room, mended, members - head.members)

    def _unregister(self, connection_id: str) -> Connection | None:
        with translated():
            answer = write(
                self._client.delete_item,
                TableName=self._table,
                Key=to_key(connection_id),
                ReturnValues="ALL_OLD",
            )
        connection = from_item(answer["Attributes"]) if "Attributes" in answer else None
        if connection is not None:
            self._release(connection)
        return connection

    def _take_back(self, connection: Connection, counted: Collection[str]) -> None:
        """Remove a connection, registered or not, that nobody has heard of, and that these rooms count."""
        if self._unregister(connection.id) is None:
            self._release(connection)
        self._clear([connection], counted=counted)

    def _clear(
        self, connections: Sequence[Connection], *, counted: Collection[str] | None = None
    ) -> list[Change]:
        """Remove what is left of connections that are not registered any more.

        Args:
            connections: The connections.
            counted: The rooms whose heads have been told of them; None for all.
        """
        crossings: defaultdict[str, list[Crossing]] = defaultdict(list)
        sizes: defaultdict[str, int] = defaultdict(int)
        for connection in connections:
            for room, departed in self._depart(connection, connection.public_rooms).items():
                crossings[room] += departed
            for room in connection.rooms:
                sizes[room] += 1
        self._write_memberships(
            {"Delete": {"Key": to_membership_key(each.id, room)}}
            for each in connections
            for room in sorted(each.rooms)
        )
        return [
            change
            for room in sorted(sizes)
            for change in self._changed(
                [room], crossings, -sizes[room] if counted is None or room in counted else 0, heard=False
            )
        ]

    def _register(self, connection: Connection) -> None:
        """Write a connection and the claim of its name, both or none.

        Raises:
            Forbidden: Its name has as many connections as it can, or looks like another's.
        """
        put = self._rows.put(connection, self._bucket)
        if connection.name is None:
            # Alone it costs half.
            with translated(), suppress(self._client.exceptions.ConditionalCheckFailedException):
                write(self._client.put_item, **put["Put"])
            return
        writes = [put, *self._claim(connection)]
        for _ in range(TRIES):
            with translated():
                reasons = transact(self._client, writes)
            if not reasons or reasons[0]["Code"] == CONDITION_FAILED:
                return
            self._refused(connection, reasons)
        raise StorageUnavailable

    def _claim(self, connection: Connection) -> list[dict[str, Any]]:
        """What claims a connection's name for it, beside what registers it."""
        if connection.name is None:
            return []
        return [self._names.claim(connection.name, connection.id, connection.expires_at)]

    def _refused(self, connection: Connection, reasons: list[dict[str, Any]]) -> None:
        """Raise what the refusal of a claim means, if it is one; it is the second item of a transaction."""
        if connection.name is not None and reasons[1]["Code"] == CONDITION_FAILED:
            self._names.refused(connection.name, reasons[1].get("Item", {}))

    def _note_others(self, connection: Connection) -> None:
        """Let a connection and the others of its name share their rate, where there are any."""
        if connection.name is None or self._bucket is None:
            return
        # Of two that come at once, at least one sees the other.
        others = self._names.others(connection.name, connection.id)
        if others:
            self._share(connection.id)
        if len(others) == 1:
            self._share(others[0])

    def _share(self, connection_id: str) -> None:
        """Note that a connection is not the only one of its name."""
        with translated(), suppress(self._client.exceptions.ConditionalCheckFailedException):
            write(
                self._client.update_item,
                TableName=self._table,
                Key=to_key(connection_id),
                UpdateExpression="SET #shared = :true",
                ConditionExpression="attribute_exists(connectionid)",
                ExpressionAttributeNames={"#shared": "shared"},
                ExpressionAttributeValues={":true": {"BOOL": True}},
            )

    def _release(self, connection: Connection) -> None:
        if connection.name is not None:
            self._names.release(connection.name, connection.id, connection.expires_at)

    def _changed(
        self,
        rooms: Iterable[str],
        crossings: Mapping[str, list[Crossing]],
        joined: int,
        *,
        heard: bool = True,
    ) -> list[Change]:
        """Tell the heads of rooms, and the directory, that connections have come or gone."""
        changes = []
        for room in sorted(rooms):
            head = self._heads.members_changed(room, joined, heard=heard)
            if head is not None and joined:
                self.directory.note(room, head, joined)
            changes.append(Change(room, crossings.get(room, []), head, joined))
        return changes

    def _arrive(self, connection: Connection, rooms: Iterable[str]) -> dict[str, list[Crossing]]:
        # A crowd does not hear who comes.
        small = [room for room in rooms if self._heads.remembered_members(room) <= self._presence_members]
        return self._cross(self._presence.arrive, connection, small, connection.expires_at)

    def _depart(self, connection: Connection, rooms: Iterable[str]) -> dict[str, list[Crossing]]:
        return self._cross(self._presence.depart, connection, rooms)

    def _cross(
        self, change: Callable[..., Crossing | None], connection: Connection, rooms: Iterable[str], *more: int
    ) -> dict[str, list[Crossing]]:
        name = connection.name
        if name is None:
            return {}
        changes = {room: change(room, name, connection.id, connection.counts_until, *more) for room in rooms}
        return {room: [crossing] for room, crossing in changes.items() if crossing is not None}

    def _live(self, item: dict[str, Any] | None) -> Connection | None:
        connection = from_item(item) if item else None
        return connection if connection and connection.expires_at > self._clock() else None

    def _write_memberships(self, writes: Iterable[dict[str, Any]]) -> None:
        """Write or delete memberships, each for itself."""
        requests = [_to_batch(each) for each in writes]
        for start in range(0, len(requests), BATCH):
            left = {self._rooms_table: requests[start : start + BATCH]}
            with translated():
                for attempt in range(1, TRIES + 1):
                    left = write(self._client.batch_write_item, RequestItems=left)["UnprocessedItems"]
                    if not left:
                        break
                    pause(attempt)
            if left:
                raise StorageUnavailable


def _left_over(member: Member, room: str) -> Connection:
    """The connection that a membership is left of, as far as it is known."""
    rooms = frozenset([room] if member.name is None else [room, personal_room(member.name)])
    return Connection(member.id, member.name, member.form, rooms, member.joined_at, member.expires_at)


def _to_batch(write: dict[str, Any]) -> dict[str, Any]:
    """The write of a transaction as one of a batch."""
    [(kind, fields)] = write.items()
    return {f"{kind}Request": {name: fields[name] for name in ("Item", "Key") if name in fields}}


def _refused_lately(item: dict[str, Any], now_ms: int) -> int:
    """Frames of a connection that have been refused since its minute of counting began."""
    if "refused" not in item or int(item["refusedSince"]["N"]) <= now_ms - REFUSED_MS:
        return 0
    return int(item["refused"]["N"])
