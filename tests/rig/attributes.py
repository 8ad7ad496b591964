"""DynamoDB's attribute values: where they are in an item, and how they compare."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from decimal import Decimal
from typing import Any

Value = dict[str, Any]
Item = dict[str, Value]
Path = tuple[str | int, ...]

SETS = ("SS", "NS", "BS")
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
}


class ExpressionError(ValueError):
    """An expression is none, or is of a kind that is not known here."""


def number(value: Value) -> int | Decimal:
    """The number that an attribute value is."""
    digits: str = value["N"]
    return int(digits) if digits.lstrip("-").isdigit() else Decimal(digits)


def existing(value: Value | None) -> Value:
    """The value of an operand.

    Raises:
        ExpressionError: There is none.
    """
    if value is None:
        raise ExpressionError("an operand is an attribute that the item does not have")
    return value


def get(item: Item, path: Path) -> Value | None:
    """What is at a path; None where nothing is."""
    value: Any = item.get(str(path[0]))
    for part in path[1:]:
        if value is None:
            return None
        if isinstance(part, int):
            members = value.get("L", ())
            value = members[part] if part < len(members) else None
        else:
            value = value.get("M", {}).get(part)
    found: Value | None = value
    return found


def put(new: Item, item: Item, path: Path, value: Value) -> None:
    """Put a value into an item that is being made of another, which stays as it is."""
    if len(path) == 1:
        new[str(path[0])] = value
        return
    holder = _own(new, item, path)
    last = path[-1]
    if isinstance(last, int):
        members = holder["L"]
        if last < len(members):
            members[last] = value
        else:
            members.append(value)
    else:
        holder["M"][last] = value


def drop(new: Item, item: Item, path: Path) -> None:
    """Take a value out, likewise."""
    if len(path) == 1:
        new.pop(str(path[0]), None)
    elif get(item, path) is not None:
        holder = _own(new, item, path)
        last = path[-1]
        del holder["L" if isinstance(last, int) else "M"][last]


def _own(new: Item, item: Item, path: Path) -> Value:
    """What holds the end of a path, in the new item and not in the old one."""
    root = str(path[0])
    if root in item and new.get(root) is item[root]:
        new[root] = deepcopy(item[root])
    return existing(get(new, path[:-1]))


def added(there: Value | None, more: Value) -> Value:
    """What ``ADD`` makes of a number or a set."""
    [(kind, members)] = more.items()
    if there is None:
        return more
    if kind == "N":
        return {"N": str(number(there) + number(more))}
    return {kind: sorted({*there[kind], *members})}


def compare(sign: str, left: Value | None, right: Value | None) -> bool:
    """Whether two values are in this order; those of two kinds are in none."""
    if left is None or right is None or left.keys() != right.keys():
        return False
    if "N" in left:
        return COMPARISONS[sign](number(left), number(right))
    [(kind, value)] = left.items()
    return kind == "S" and COMPARISONS[sign](value, right[kind])


def equal(left: Value | None, right: Value | None) -> bool:
    """Whether two values are the same, however they are written."""
    if left is None or right is None or left.keys() != right.keys():
        return False
    if "N" in left:
        return number(left) == number(right)
    [(kind, value)] = left.items()
    return bool(sorted(value) == sorted(right[kind]) if kind in SETS else value == right[kind])


def contains(there: Value | None, wanted: Value | None) -> bool:
    """Whether a text, a set or a list has a value in it."""
    if there is None or wanted is None:
        return False
    [(kind, members)], [(of, value)] = there.items(), wanted.items()
    if kind == "L":
        return any(equal(member, wanted) for member in members)
    return kind in (of, f"{of}S") and value in members


def begins(there: Value | None, start: Value | None) -> bool:
    """Whether a text begins with another."""
    return bool(there and start and "S" in there and there["S"].startswith(start["S"]))


def size(value: Value | None) -> Value | None:
    """The size of a value, as a condition sees it."""
    if value is None:
        return None
    [(kind, content)] = value.items()
    sized: Sequence[Any] = content.encode() if kind == "S" else content
    return {"N": str(len(sized))}
