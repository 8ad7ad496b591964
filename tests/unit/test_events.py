import json
import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.errors import TooLarge
from chalicelib.wire.events import (
    METERED,
    Ack,
    Error,
    Event,
    Form,
    Goodbye,
    HelpText,
    Joined,
    Left,
    Message,
    Messages,
    Named,
    Occupancy,
    Pong,
    Presence,
    Private,
    RoomList,
    StoredMessages,
    Typing,
    WhoIsThere,
    frames,
    render,
)
from chalicelib.wire.fields import Name, Room, Text


def said(**fields: object) -> Message:
    basic = {
        "room": "lobby",
        "seq": 7,
        "epoch": "e",
        "id": "i",
        "sender": None,
        "message": "hi",
        "sent_at": 1,
    }
    return Message(**(basic | fields))  # type: ignore[arg-type]


def stored(*messages: Message, room: str = "lobby") -> StoredMessages:
    return StoredMessages(
        room=room, seq=7, epoch="e", messages=list(messages), more=False, complete=True, through=7
    )


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (said(), "Echo: hi"),
        (said(sender="alice"), "alice: hi"),
        (said(room="cats"), "[cats] Echo: hi"),
        (said(room="cats", sender="alice"), "[cats] alice: hi"),
        (said(message="a\nalice: b\u2028c"), "Echo: a ⏎ alice: b ⏎ c"),
        (
            Messages(room="cats", epoch="e", messages=[said(room="cats"), said(room="cats", message="a\nb")]),
            "[cats] Echo: hi\n[cats] Echo: a ⏎ b",
        ),
        (Private(id="i", sender="alice", to="bob", message="hi", sent_at=1), "alice -> bob: hi"),
        (Joined(room="cats", seq=0, epoch=None, members={"ann": 2}, count=3), "Joined cats (3 here)"),
        (Left(room="cats"), "Left cats"),
        (Presence(room="cats", name="alice", event="join", at=1), "* alice joined cats"),
        (Presence(room="cats", name="alice", event="leave", at=1), "* alice left cats"),
        (
            Presence(room="cats", name="ann", event="leave", at=1, names=["ann", "bob"]),
            "* ann, bob left cats",
        ),
        (Occupancy(room="cats", count=1234), None),
        (Typing(room="cats", sender="alice", typing=True), None),
        (
            WhoIsThere(room="cats", members={"ann": 2, "bob": 1}, nameless=3, count=6),
            "In cats: ann (2), bob (1), 3 nameless",
        ),
        (WhoIsThere(room="cats", members={}, nameless=0, count=0), "In cats: nobody"),
        (
            WhoIsThere(room="cats", members={"ann": 2}, nameless=0, count=600, more=True, after="x1"),
            "In cats: ann (2); more after x1",
        ),
        (RoomList(rooms={"lobby": 3, "cats": 1}), "Rooms: lobby (3), cats (1)"),
        (RoomList(rooms={}), "Rooms: none"),
        (stored(said(message="one\n1"), said(sender="bob", message="two")), "Echo: one ⏎ 1\nbob: two"),
        (stored(room="cats"), "No messages in cats"),
        (Named(name="ann"), "You are ann"),
        (Pong(), "pong"),
        (HelpText(actions={"ping": ["[ref]"], "help": []}), "ping [ref]; help"),
        (Ack(room="lobby", seq=1, epoch="e", id="i", ref="r"), None),
        (Goodbye(code="c", reason="Bye", retry_after=0), "Bye"),
        (Error(code="bad_json", message="no"), "Error: no"),
    ],
)
def test_the_text_form(event: Event, text: str | None) -> None:
    assert render(event, Form.TEXT) == text


@pytest.mark.parametrize("form", Form)
def test_what_api_gateway_would_not_send_is_too_large(form: Form) -> None:
    empty = len((render(said(message=""), form) or "").encode())
    assert render(said(message="x" * (128 * 1024 - empty)), form) is not None
    with pytest.raises(TooLarge, match="131,073 bytes"):
        render(said(message="x" * (128 * 1024 - empty + 1)), form)


@pytest.mark.parametrize(
    ("event", "frame"),
    [
        (
            said(room=Room("cats")),
            {
                "type": "message",
                "room": "cats",
                "seq": 7,
                "epoch": "e",
                "id": "i",
                "from": None,
                "message": "hi",
                "sentAt": 1,
            },
        ),
        (
            Private(id="i", sender="alice", to="bob", message="hi", sent_at=1),
            {"type": "private", "id": "i", "from": "alice", "to": "bob", "message": "hi", "sentAt": 1},
        ),
        (
            Ack(room="lobby", seq=1, epoch="e", id="i", ref="r"),
            {
                "type": "ack",
                "room": "lobby",
                "seq": 1,
                "epoch": "e",
                "id": "i",
                "duplicate": False,
                "ref": "r",
            },
        ),
        (
            Joined(room="cats", seq=0, epoch=None, members={"ann": 2}, count=3),
            {
                "type": "joined",
                "room": "cats",
                "seq": 0,
                "epoch": None,
                "members": {"ann": 2},
                "count": 3,
                "ref": None,
            },
        ),
        (
            Messages(room="cats", epoch="e", messages=[said(room="cats")]),
            {
                "type": "messages",
                "room": "cats",
                "epoch": "e",
                "messages": [
                    {
                        "type": "message",
                        "room": "cats",
                        "seq": 7,
                        "epoch": "e",
                        "id": "i",
                        "from": None,
                        "message": "hi",
                        "sentAt": 1,
                    }
                ],
            },
        ),
        (
            Presence(room="cats", name="alice", event="leave", at=5),
            {"type": "presence", "room": "cats", "name": "alice", "event": "leave", "at": 5},
        ),
        (
            Presence(room="cats", name="ann", event="leave", at=5, names=["ann", "bob"]),
            {
                "type": "presence",
                "room": "cats",
                "name": "ann",
                "event": "leave",
                "at": 5,
                "names": ["ann", "bob"],
            },
        ),
        (
            Occupancy(room="cats", count=1234),
            {"type": "occupancy", "room": "cats", "count": 1234},
        ),
        (
            WhoIsThere(room="cats", members={"ann": 2}, nameless=1, count=600, more=True, after="x1"),
            {
                "type": "who",
                "room": "cats",
                "members": {"ann": 2},
                "nameless": 1,
                "count": 600,
                "more": True,
                "after": "x1",
                "ref": None,
            },
        ),
        (
            Typing(room="cats", sender="alice", typing=True),
            {"type": "typing", "room": "cats", "from": "alice", "typing": True},
        ),
        (
            Goodbye(code="c", reason="Bye", retry_after=0),
            {"type": "goodbye", "code": "c", "reason": "Bye", "retryAfter": 0},
        ),
        (
            Error(code="bad_json", message="no"),
            {
                "type": "error",
                "code": "bad_json",
                "message": "no",
                "action": None,
                "retryAfter": None,
                "ref": None,
            },
        ),
    ],
)
def test_the_json_form_has_the_names_of_the_wire(event: Event, frame: dict[str, object]) -> None:
    assert json.loads(render(event, Form.JSON) or "") == frame


# What a message can be: what is short in characters can be long in either form.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), min_size=1),
    st.builds(
        lambda unit, times: unit * times,
        st.sampled_from(["a", "\n", "\t", '"', "\\", "é", "\u2028", "文", "😀"]),
        st.integers(1, 4096),
    ),
).map(lambda text: unicodedata.normalize("NFC", text))
ROOMS = st.sampled_from(["lobby", "c" * 64])
SENDERS = st.sampled_from([None, "ann", "😀" * 32])


def size(event: Event, form: Form) -> int:
    return len((render(event, form) or "").encode())


def together(*messages: Message) -> Messages:
    return Messages(room=messages[0].room, epoch=messages[0].epoch, messages=list(messages))


def unpacked(event: Event) -> list[Message]:
    if isinstance(event, Message):
        return [event]
    assert isinstance(event, Messages)
    assert len(event.messages) > 1
    assert {(event.room, event.epoch)} == {(message.room, message.epoch) for message in event.messages}
    return event.messages


@given(st.lists(TEXTS, max_size=40), ROOMS, SENDERS)
@example(["😀" * 4096, "\n" * 4096, '"' * 4096], "c" * 64, "😀" * 32)
def test_messages_share_frames_that_are_metered_once(texts: list[str], room: str, sender: str | None) -> None:
    messages = [
        said(room=room, seq=seq, epoch="e" * 64, id="i" * 64, sender=sender, message=Text.parse(text))
        for seq, text in enumerate(texts, start=10**15)
    ]
    packed = frames(messages)
    assert [message for event in packed for message in unpacked(event)] == messages
    assert all(size(event, form) < METERED for event in packed for form in Form)
    # Not one of them would have gone into the frame before it.
    for before, after in pairwise(packed):
        fuller = together(*unpacked(before), unpacked(after)[0])
        assert any(size(fuller, form) >= METERED for form in Form)


@pytest.mark.parametrize("spare", [0, 1])
@pytest.mark.parametrize("form", Form)
def test_a_frame_is_filled_to_the_last_byte(form: Form, spare: int) -> None:
    # A line feed is five bytes of text and two of JSON, an "a" one of each.
    filler = "\n" * 4000 if form is Form.TEXT else "a" * 4000
    batch: list[Message] = []
    while size(together(*batch, said(message=filler), said(message="")), form) < METERED:
        batch.append(said(message=filler))
    used = size(together(*batch, said(message="")), form)
    last = said(message="a" * (METERED - used - spare))
    assert len(frames([*batch, last])) == (1 if spare else 2)


def test_no_message_is_no_frame_and_one_is_itself() -> None:
    assert frames([]) == []
    assert frames([said()]) == [said()]


def test_messages_of_two_rooms_or_numberings_share_no_frame() -> None:
    first, second, other = said(seq=1), said(seq=2), said(seq=1, epoch="f")
    cats = said(room="cats")
    assert frames([first, second, other, cats]) == [
        together(first, second),
        other,
        cats,
    ]


WORDS = st.sampled_from(
    [
        "Echo",
        "Error",
        "alice",
        "bob",
        "[cats]",
        "->",
        ":",
        "*",
        "joined",
        "cats",
        "In",
        "Joined",
        "(2)",
        '"',
        ",",
    ]
)
NAMES = (st.lists(WORDS, min_size=1, max_size=5).map(" ".join) | st.text(min_size=1, max_size=12)).filter(
    lambda name: Name.clean(name) == name
)
SHOWN = r'"(?:[^"\\]|\\.)*"|[^"\[*:,(>]+?'
LINE = re.compile(
    rf"(?:\[(?P<room>[A-Za-z0-9._-]+)\] )?(?P<sender>{SHOWN})(?: -> (?P<to>{SHOWN}))?: (?P<text>.*)", re.S
)


def reading(line: str) -> tuple[str | None, ...] | None:
    """Read a line as somebody would who knows the form alone: room, sender, to whom.

    None where it is of another kind.
    """
    found = LINE.fullmatch(line)
    if found is None or found["sender"] in ("Error", "Rooms") or found["sender"].startswith("In "):
        return None
    sender, to = (
        name and (json.loads(name) if name[0] == '"' else name) for name in found.group("sender", "to")
    )
    return found["room"] or "lobby", None if found["sender"] == "Echo" else sender, to


@given(
    NAMES,
    NAMES,
    st.sampled_from(["lobby", "cats", "a.b-c_d"]),
    st.sampled_from(["hi", "bob: hi", "[cats] x"]),
)
@example("[cats] bob", "wit", "lobby", "hi")
@example("alice -> wit", "wit", "lobby", "hi")
@example("Error", "wit", "lobby", "hi")
@example("Echo", "wit", "lobby", "hi")
@example("* bob joined lobby", "wit", "lobby", "hi")
@example("In lobby", "wit", "lobby", "hi")
def test_no_line_can_be_taken_for_another_kinds_or_another_senders(
    name: str, other: str, room: str, text: str
) -> None:
    message = render(said(sender=name, room=room, message=text), Form.TEXT)
    assert reading(message or "") == (room, name, None)
    nameless = render(said(sender=None, room=room, message=text), Form.TEXT)
    assert reading(nameless or "") == (room, None, None)
    private = Private(id="i", sender=name, to=other, message=text, sent_at=1)
    assert reading(render(private, Form.TEXT) or "") == ("lobby", name, other)
    for event in (
        Error(code="bad_request", message=f"{name}: no"),
        Presence(room=room, name=name, event="join", at=1),
        WhoIsThere(room=room, members={name: 1, other: 2}, nameless=0, count=3, more=False, after=None),
        Named(name=name),
        Joined(room=room, seq=1, epoch="e", members={}, count=3),
        Left(room=room),
        RoomList(rooms={room: 2}),
    ):
        assert reading(render(event, Form.TEXT) or "") is None
