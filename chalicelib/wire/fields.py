"""The nouns of the wire: what a room, a name, a message and a reference may be.

Each is a ``str`` that has been checked and normalised, so whoever holds one need not ask again.
"""

import re
import unicodedata
from typing import Any, ClassVar, Self

from .lookalikes import JOINERS, joins, shows

LONGEST_MESSAGE = 4096
# An issuer's own ids are names too: a UUID has 36 characters, and one of Entra ID's 43.
LONGEST_NAME = 64
LONGEST_REF = 64
# In characters. API Gateway itself takes 10 KB of headers and 4 KB of URL.
LONGEST_TOKEN = 8192

_ROOM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# Unicode categories that no name has: controls, formats (bidi and zero-width among them),
# surrogates, private use, line and paragraph separators.
_NOT_IN_NAMES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
# Letters, marks and signs that show nothing: fillers, blanks, the grapheme joiner, the null note head.
_BLANK_LETTERS = set(
    "\u034f\u115f\u1160\u17b4\u17b5\u2065\u2800\u3164\uffa0\ufff0\ufff1\ufff2\ufff3\ufff4\ufff5\ufff6\ufff7"
    "\ufff8\U00013441\U00013442\U00016fe4\U0001d159"
)
# They choose a variant of the character before: one sees that of signs, such as hearts, and not of letters.
_SELECTORS = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


class Field(str):
    """A string field of a frame. Subclasses say what it may be, in ``rule`` and ``clean``."""

    rule: ClassVar[str]
    schema: ClassVar[dict[str, Any]]

    @classmethod
    def clean(cls, value: str) -> str | None:
        """Return the value as it is kept, or None where it breaks the rule."""
        raise NotImplementedError

    @classmethod
    def parse(cls, value: object) -> Self:
        """Check and normalise a value from outside.

        Raises:
            ValueError: It is no string or breaks the rule; the message is the rule.
        """
        cleaned = cls.clean(value) if isinstance(value, str) else None
        if cleaned is None:
            raise ValueError(cls.rule)
        return cls(cleaned)


class Room(Field):
    """The id of a room that anyone can join."""

    rule = "must be 1-64 letters, digits, '.', '_' or '-', starting with a letter or digit"
    schema: ClassVar = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}

    @classmethod
    def clean(cls, value: str) -> str | None:
        return value if _ROOM.fullmatch(value) else None


class AnyRoom(Field):
    """The id of a room, a user's personal room ``@name`` included."""

    rule = f"{Room.rule}, or your own name after '@'"
    schema: ClassVar = {
        "type": "string",
        "pattern": f"^([A-Za-z0-9][A-Za-z0-9._-]{{0,63}}|@[^@#]{{1,{LONGEST_NAME}}})$",
    }

    @classmethod
    def clean(cls, value: str) -> str | None:
        if not value.startswith("@"):
            return Room.clean(value)
        name = Name.clean(value[1:])
        return None if name is None else f"@{name}"


class Name(Field):
    """The name of a user: NFKC, runs of white space as one blank, selectors of variants after signs alone.

    What shows nothing is in no name (Unicode's Default_Ignorable_Code_Point), but for the two joiners where
    RFC 5892, appendix A, has them: many Persian and Hindi words need them.
    """

    rule = (
        f"must be 1-{LONGEST_NAME} characters, not marks alone, no control or invisible ones but a joiner"
        " where its script needs it, no '@' or '#'"
    )
    schema: ClassVar = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "pattern": "^[^@#]+$"}

    @classmethod
    def clean(cls, value: str) -> str | None:
        # Both forms are looked at: split() would swallow a line feed, and NFKC turns look-alikes
        # of '@' into it.
        value = _without_selectors(value)
        normal = " ".join(unicodedata.normalize("NFKC", value).split())
        if len(normal) > LONGEST_NAME or not joins(normal):
            return None
        seen = JOINERS.sub("", value + normal)
        if any(unicodedata.category(c) in _NOT_IN_NAMES or c in _BLANK_LETTERS for c in seen):
            return None
        if not 1 <= len(normal) <= LONGEST_NAME or "@" in normal or "#" in normal:
            return None
        return normal if shows(normal) else None


class Text(Field):
    """What somebody says: NFC, lines ended by a line feed, tabs; no other control characters."""

    rule = f"must be 1-{LONGEST_MESSAGE} characters of text, without control characters"
    schema: ClassVar = {"type": "string", "minLength": 1, "maxLength": LONGEST_MESSAGE}

    @classmethod
    def clean(cls, value: str) -> str | None:
        normal = unicodedata.normalize("NFC", value.replace("\r\n", "\n"))
        if not 1 <= len(normal) <= LONGEST_MESSAGE or _CONTROL_IN_TEXT.search(normal):
            return None
        return normal


class Ref(Field):
    """The client's own reference for a request; comes back in the reply."""

    rule = "must be 1-64 characters, without control characters"
    schema: ClassVar = {"type": "string", "minLength": 1, "maxLength": 64}

    @classmethod
    def clean(cls, value: str) -> str | None:
        return value if 1 <= len(value) <= LONGEST_REF and not _CONTROL.search(value) else None


class Token(Field):
    """A token, as its issuer gave it."""

    rule = f"must be a JSON Web Token of at most {LONGEST_TOKEN:,} characters"
    schema: ClassVar = {"type": "string", "minLength": 1, "maxLength": LONGEST_TOKEN}

    @classmethod
    def clean(cls, value: str) -> str | None:
        return value if 1 <= len(value) <= LONGEST_TOKEN else None


class ConnectionId(Field):
    """The id of a connection, as API Gateway gave it."""

    rule = "must be the id of a connection"
    schema: ClassVar = {"type": "string", "minLength": 1, "maxLength": 128}

    @classmethod
    def clean(cls, value: str) -> str | None:
        return value if 1 <= len(value) <= 128 and value.isascii() and value.isprintable() else None


class Epoch(Field):
    """The ``epoch`` of a room, as an event gave it."""

    rule = "must be the epoch that an event gave"
    schema: ClassVar = {"type": "string", "minLength": 1, "maxLength": 64}

    @classmethod
    def clean(cls, value: str) -> str | None:
        return Ref.clean(value)


class Cursor(Field):
    """Where the next page begins; only the server knows what it means."""

    rule = "must be the after that an answer gave"
    schema: ClassVar = {"type": "string", "minLength": 1, "maxLength": 64}

    @classmethod
    def clean(cls, value: str) -> str | None:
        return Ref.clean(value)


def _without_selectors(value: str) -> str:
    kept: list[str] = []
    for character in value:
        if not _SELECTORS.match(character) or (kept and unicodedata.category(kept[-1])[0] == "S"):
            kept.append(character)
    return "".join(kept)
