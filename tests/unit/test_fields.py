import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.wire.fields import LONGEST_MESSAGE, Name, Ref, Room, Text
from chalicelib.wire.lookalikes import skeleton


@pytest.mark.parametrize("room", ["a", "lobby", "9", "A.b_c-d", "x" * 64])
def test_room_is_kept_as_it_is(room: str) -> None:
    assert Room.parse(room) == room


@pytest.mark.parametrize(
    "room",
    ["", ".a", "-a", "_a", "x" * 65, "a b", "a\n", "a#b", "@ann", "é", "<b>", "a\u202e", None, 3, ["a"]],
)
def test_what_is_no_room(room: object) -> None:
    with pytest.raises(ValueError, match="must be 1-64 letters"):
        Room.parse(room)


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("alice", "alice"),
        ("  Ann   Marie ", "Ann Marie"),
        ("\uff21nn", "Ann"),  # full width
        ("e\u0301va", "éva"),
        ("名前", "名前"),
        ("x" * 64, "x" * 64),
        ("c9d7e1f0-1c2d-4e5f-8a9b-1234567890ab", "c9d7e1f0-1c2d-4e5f-8a9b-1234567890ab"),  # Cognito's ids
        ("alice\ufe0f", "alice"),  # selectors of variants
        ("alice\u180b", "alice"),
        ("a\U000e0100lice", "alice"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),
        ("\u0915\u094d\u200c\u0937", "\u0915\u094d\u200c\u0937"),
        ("\u2764\ufe0f", "\u2764\ufe0f"),  # a heart in colours
        ("i\u0307", "i\u0307"),
        ("\u0915\u093e", "\u0915\u093e"),
        ("?!", "?!"),
    ],
)
def test_name_is_normalised(given_name: str, kept: str) -> None:
    assert Name.parse(given_name) == kept


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "x" * 65,
        "ali\u200cce",  # joiners that nothing needs
        "alice\u200d",
        "\u200c\u0645",
        "\U0001f468\u200d\U0001f469",
        "\u200d",
        "@ann",
        "\uff20ann",  # full-width '@'
        "a#b",
        "a\nb",
        "ann\n",
        "a\tb",
        "a\x00b",
        "a\x1b[2J",
        "a\u200bb",  # zero width
        "a\u202eb",  # bidi
        "a\u2066b",
        "a\u2028b",
        "\u3164",  # Hangul filler
        "\U0001d159",  # null note head
        "\u0307",  # marks alone
        "\u0301",
        "\u0308\u0307",
        "\u00b4",  # an acute, which is a mark on a blank
        "\u20dd",  # enclosing circle
        "\u0903",  # a mark that takes room
        "\u0307 \u0307",
        "\ufe0f",  # a selector of a variant
        "\U000e0100",
        "\u180b",
        "\u2065",  # nothing yet, and ignored already
        "\ufe0f\u0307",
        "\ud800",
        None,
        7,
    ],
)
def test_what_is_no_name(name: object) -> None:
    with pytest.raises(ValueError, match="must be 1-64 characters"):
        Name.parse(name)


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_a_name_is_stable_and_safe(value: str) -> None:
    try:
        name = Name.parse(value)
    except ValueError:
        return
    assert Name.parse(name) == name
    seen = name.replace("\u200c", "").replace("\u200d", "")
    assert not {unicodedata.category(character) for character in seen} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not set("@#") & set(name)
    # It is a key.
    assert skeleton(name)
    assert len(skeleton(name).encode(errors="surrogatepass")) <= 1024


@pytest.mark.parametrize(
    "ignored", ["\ufe0f", "\ufe00", "\U000e01ef", "\u180b", "\u2065", "\ufff0", "\u200c", "\u200d"]
)
def test_what_shows_nothing_makes_no_other_name(ignored: str) -> None:
    assert skeleton(f"al{ignored}ice") == skeleton("alice")


def test_length_of_a_message_counts_after_nfc() -> None:
    decomposed = "e\u0301" * LONGEST_MESSAGE
    assert Text.parse(decomposed) == "é" * LONGEST_MESSAGE
    with pytest.raises(ValueError, match="must be 1-4096 characters"):
        Text.parse(decomposed + "e")


def test_a_message_keeps_its_lines_and_tabs() -> None:
    assert Text.parse("one\r\ntwo\n\tthree") == "one\ntwo\n\tthree"


@pytest.mark.parametrize("text", ["", "a\x00b", "\x1b[31m", "a\rb", "\x85", "\ud83d", None, 1, {}])
def test_what_is_no_message(text: object) -> None:
    with pytest.raises(ValueError, match="without control characters"):
        Text.parse(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200))
def test_any_text_is_a_message(text: str) -> None:
    assert Text.parse(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("ref", ["", "x" * 65, "a\nb", 5])
def test_what_is_no_ref(ref: object) -> None:
    with pytest.raises(ValueError, match="must be 1-64 characters"):
        Ref.parse(ref)
