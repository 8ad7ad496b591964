"""The tables of the rig's DynamoDB: items, in the order of their keys."""

import bisect
from typing import Any

from tests.rig.attributes import Item
from tests.rig.partitions import WRITE_UNIT, Charge, units_of
from tests.rig.sizes import item_size

# Of a partition key and a sort key, in bytes.
LONGEST_KEYS = (2048, 1024)
LARGEST_ITEM = 400 * 1024


class Failed(Exception):
    """A request is not done."""

    def __init__(self, code: str, message: str = "as DynamoDB says", **fields: Any) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.fields = fields


class Table:
    """Items by partition key, and in each partition by sort key, in its order."""

    def __init__(self, hash_key: str, range_key: str | None) -> None:
        self.hash_key = hash_key
        self.range_key = range_key
        self.partitions: dict[str, tuple[list[str], dict[str, Item]]] = {}

    def place(self, key: Item) -> tuple[str, str]:
        """Where an item is."""
        place = key[self.hash_key]["S"], key[self.range_key]["S"] if self.range_key else ""
        if any(len(part.encode()) > longest for part, longest in zip(place, LONGEST_KEYS, strict=True)):
            raise Failed("ValidationException", "the key is too long")
        return place

    def key_of(self, item: Item) -> Item:
        """The key of an item."""
        return {name: item[name] for name in (self.hash_key, self.range_key) if name}

    def get(self, place: tuple[str, str]) -> Item | None:
        """The item in a place."""
        return self.partitions.get(place[0], ([], {}))[1].get(place[1])

    def put(self, place: tuple[str, str], item: Item | None) -> None:
        """Put an item into a place, or take out what is there."""
        order, items = self.partitions.setdefault(place[0], ([], {}))
        if item is not None:
            if place[1] not in items:
                bisect.insort(order, place[1])
            items[place[1]] = item
        elif items.pop(place[1], None) is not None:
            del order[bisect.bisect_left(order, place[1])]
            if not items:
                del self.partitions[place[0]]


class Write:
    """An item as it was and as it is to be, with what that costs."""

    def __init__(self, name: str, table: Table, place: tuple[str, str], new: Item | None) -> None:
        self.table = table
        self.place = place
        self.old = table.get(place)
        self.new = new
        size = max(item_size(self.old or {}), item_size(new or {}))
        if size > LARGEST_ITEM:
            raise Failed("ValidationException", "the item is too large")
        self.charge = Charge(name, place[0], "write", units_of(size, WRITE_UNIT))

    def do(self) -> None:
        """Write."""
        self.table.put(self.place, self.new)


def key_range(order: list[str], sign: str, given: list[str]) -> tuple[int, int]:
    """Where the sort keys of a condition begin and end."""
    match sign:
        case "all":
            return 0, len(order)
        case "=":
            return bisect.bisect_left(order, given[0]), bisect.bisect_right(order, given[0])
        case "<":
            return 0, bisect.bisect_left(order, given[0])
        case "<=":
            return 0, bisect.bisect_right(order, given[0])
        case ">":
            return bisect.bisect_right(order, given[0]), len(order)
        case ">=":
            return bisect.bisect_left(order, given[0]), len(order)
        case "between":
            return bisect.bisect_left(order, given[0]), bisect.bisect_right(order, given[1])
        case _:
            return bisect.bisect_left(order, given[0]), bisect.bisect_left(order, given[0] + "\U0010ffff")
