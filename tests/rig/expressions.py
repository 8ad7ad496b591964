"""DynamoDB's expressions: conditions, updates and key conditions, each parsed once.

An item is a mapping of names to attribute values such as ``{"N": "1"}``, as on the wire. Nothing here
changes one: an update makes another item.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from tests.rig.attributes import (
    COMPARISONS,
    ExpressionError,
    Item,
    Path,
    Value,
    added,
    begins,
    compare,
    contains,
    drop,
    equal,
    existing,
    get,
    number,
    put,
    size,
)

Values = Mapping[str, Value]
Operand = Callable[[Item, Values], Value | None]
Condition = Callable[[Item, Values], bool]
Update = Callable[[Item, Values], Item]
# What an update does to the new item, with the item as it was.
Change = Callable[[Item, Item, Values], None]

_TOKEN = re.compile(r"\s*(:\w+|#?\w+|<=|>=|<>|[=<>(),.\[\]+-])")


def condition(text: str, names: Mapping[str, str]) -> Condition:
    """Compile a ``ConditionExpression`` or ``FilterExpression``.

    Raises:
        ExpressionError: It is none.
    """
    return _condition(text, tuple(sorted(names.items())))


def update(text: str, names: Mapping[str, str]) -> Update:
    """Compile an ``UpdateExpression``.

    Raises:
        ExpressionError: It is none.
    """
    return _update(text, tuple(sorted(names.items())))


def key_condition(text: str, names: Mapping[str, str]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Parse a ``KeyConditionExpression``: for each key its name, its operator and the values' names.

    Raises:
        ExpressionError: It is none.
    """
    return _key_condition(text, tuple(sorted(names.items())))


def project(item: Item, text: str, names: Mapping[str, str]) -> Item:
    """Keep the attributes of a ``ProjectionExpression``; those within others are not known here."""
    wanted = [names.get(part.strip(), part.strip()) for part in text.split(",")]
    return {name: item[name] for name in wanted if name in item}


@lru_cache
def _condition(text: str, names: tuple[tuple[str, str], ...]) -> Condition:
    parser = _Parser(text, dict(names))
    parsed = parser.any_of()
    parser.end()
    return parsed


@lru_cache
def _update(text: str, names: tuple[tuple[str, str], ...]) -> Update:
    parser = _Parser(text, dict(names))
    changes = parser.changes()
    parser.end()

    def updated(item: Item, values: Values) -> Item:
        new = dict(item)
        for change in changes:
            change(new, item, values)
        return new

    return updated


@lru_cache
def _key_condition(
    text: str, names: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    parser = _Parser(text, dict(names))
    parts = [parser.key_part()]
    while parser.take_word("AND"):
        parts.append(parser.key_part())
    parser.end()
    return tuple(parts)


class _Parser:
    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self._text = text
        self._names = names
        self._tokens: list[str] = []
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None:
                raise ExpressionError(f"{text!r} at {at}")
            self._tokens.append(found[1])
            at = found.end()
        self._at = 0

    @property
    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _pop(self) -> str:
        token = self._next
        self._at += 1
        return token

    def _take(self, token: str) -> bool:
        if self._next == token:
            self._at += 1
            return True
        return False

    def _must(self, token: str) -> None:
        if not self._take(token):
            raise ExpressionError(f"{token!r} expected, not {self._next!r}: {self._text!r}")

    def take_word(self, word: str) -> bool:
        """Take a keyword, if it is next."""
        if self._next.upper() == word:
            self._at += 1
            return True
        return False

    def end(self) -> None:
        """Make sure that there is nothing more."""
        if self._next:
            raise ExpressionError(f"{self._next!r} is too much: {self._text!r}")

    def any_of(self) -> Condition:
        """Parse what ``OR`` joins."""
        parts = [self._all_of()]
        while self.take_word("OR"):
            parts.append(self._all_of())
        if len(parts) == 1:
            return parts[0]
        return lambda item, values: any(part(item, values) for part in parts)

    def _all_of(self) -> Condition:
        parts = [self._one()]
        while self.take_word("AND"):
            parts.append(self._one())
        if len(parts) == 1:
            return parts[0]
        return lambda item, values: all(part(item, values) for part in parts)

    def _one(self) -> Condition:
        if self.take_word("NOT"):
            negated = self._one()
            return lambda item, values: not negated(item, values)
        if self._take("("):
            inner = self.any_of()
            self._must(")")
            return inner
        if self._tokens[self._at + 1 : self._at + 2] == ["("] and self._next != "size":
            return self._test()
        return self._comparison(self._operand())

    def _test(self) -> Condition:
        name = self._pop()
        self._must("(")
        operand = self._operand()
        if name in ("attribute_exists", "attribute_not_exists"):
            self._must(")")
            there = name == "attribute_exists"
            return lambda item, values: (operand(item, values) is not None) is there
        self._must(",")
        other = self._operand()
        self._must(")")
        if name == "contains":
            return lambda item, values: contains(operand(item, values), other(item, values))
        if name == "begins_with":
            return lambda item, values: begins(operand(item, values), other(item, values))
        raise ExpressionError(f"{name} is not known here: {self._text!r}")

    def _comparison(self, left: Operand) -> Condition:
        if self.take_word("BETWEEN"):
            low = self._operand()
            self._must("AND")
            high = self._operand()
            return lambda item, values: (
                compare(">=", left(item, values), low(item, values))
                and compare("<=", left(item, values), high(item, values))
            )
        if self.take_word("IN"):
            self._must("(")
            options = [self._operand()]
            while self._take(","):
                options.append(self._operand())
            self._must(")")
            return lambda item, values: any(
                equal(left(item, values), option(item, values)) for option in options
            )
        sign = self._pop()
        right = self._operand()
        if sign == "=":
            return lambda item, values: equal(left(item, values), right(item, values))
        if sign == "<>":
            return lambda item, values: not equal(left(item, values), right(item, values))
        if sign in COMPARISONS:
            return lambda item, values: compare(sign, left(item, values), right(item, values))
        raise ExpressionError(f"{sign!r} compares nothing: {self._text!r}")

    def _operand(self) -> Operand:
        if self._next.startswith(":"):
            name = self._pop()
            return lambda item, values: values[name]
        if self._next == "size":
            self._pop()
            self._must("(")
            path = self._path()
            self._must(")")
            return lambda item, values: size(get(item, path))
        path = self._path()
        if len(path) == 1 and isinstance(path[0], str):
            attribute = path[0]
            return lambda item, values: item.get(attribute)
        return lambda item, values: get(item, path)

    def _path(self) -> Path:
        path: list[str | int] = [self._name()]
        while True:
            if self._take("."):
                path.append(self._name())
            elif self._take("["):
                path.append(int(self._pop()))
                self._must("]")
            else:
                return tuple(path)

    def _name(self) -> str:
        name = self._pop()
        if name.startswith("#"):
            if name not in self._names:
                raise ExpressionError(f"{name} is not defined: {self._text!r}")
            return self._names[name]
        if not name.replace("_", "a").isalnum():
            raise ExpressionError(f"{name!r} is no name: {self._text!r}")
        return name

    def changes(self) -> list[Change]:
        """Parse the clauses of an update."""
        clauses = {"SET": self._set, "REMOVE": self._remove, "ADD": self._add, "DELETE": self._delete}
        changes: list[Change] = []
        while self._next:
            clause = clauses.get(self._pop().upper())
            if clause is None:
                raise ExpressionError(f"no clause begins so: {self._text!r}")
            changes.append(clause())
            while self._take(","):
                changes.append(clause())
        return changes

    def _set(self) -> Change:
        path = self._path()
        self._must("=")
        value = self._sum()
        return lambda new, item, values: put(new, item, path, existing(value(item, values)))

    def _sum(self) -> Operand:
        left = self._term()
        if self._next not in ("+", "-"):
            return left
        sign = 1 if self._pop() == "+" else -1
        right = self._term()
        return lambda item, values: {
            "N": str(number(existing(left(item, values))) + sign * number(existing(right(item, values))))
        }

    def _term(self) -> Operand:
        if self._next == "if_not_exists":
            self._pop()
            self._must("(")
            path = self._path()
            self._must(",")
            otherwise = self._term()
            self._must(")")
            return lambda item, values: (
                there if (there := get(item, path)) is not None else otherwise(item, values)
            )
        if self._next == "list_append":
            self._pop()
            self._must("(")
            first = self._term()
            self._must(",")
            second = self._term()
            self._must(")")
            return lambda item, values: {
                "L": [*existing(first(item, values))["L"], *existing(second(item, values))["L"]]
            }
        return self._operand()

    def _remove(self) -> Change:
        path = self._path()
        return lambda new, item, values: drop(new, item, path)

    def _add(self) -> Change:
        path, value = self._path(), self._operand()
        return lambda new, item, values: put(
            new, item, path, added(get(item, path), existing(value(item, values)))
        )

    def _delete(self) -> Change:
        path, value = self._path(), self._operand()

        def delete(new: Item, item: Item, values: Values) -> None:
            there = get(item, path)
            if there is None:
                return
            [(kind, members)] = there.items()
            left = sorted(set(members).difference(existing(value(item, values))[kind]))
            if left:
                put(new, item, path, {kind: left})
            else:
                drop(new, item, path)

        return delete

    def key_part(self) -> tuple[str, str, tuple[str, ...]]:
        """Parse the condition of one key."""
        if self.take_word("BEGINS_WITH"):
            self._must("(")
            name = self._name()
            self._must(",")
            value = self._pop()
            self._must(")")
            return name, "begins_with", (value,)
        name = self._name()
        if self.take_word("BETWEEN"):
            low = self._pop()
            self._must("AND")
            return name, "between", (low, self._pop())
        sign = self._pop()
        if sign != "=" and sign not in COMPARISONS:
            raise ExpressionError(f"{sign!r} is not for keys: {self._text!r}")
        return name, sign, (self._pop(),)
