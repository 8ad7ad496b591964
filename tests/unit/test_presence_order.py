"""Which presence events are outdated."""

from typing import Literal

from chalicelib.wire.events import Presence
from client.presence import MOST_NAMES, PresenceOrder


def presence(at: int, *names: str, room: str = "cats", event: Literal["join", "leave"] = "join") -> Presence:
    [first, *others] = names or ("ann",)
    return Presence(room=room, name=first, event=event, at=at, names=[first, *others] if others else None)


def test_an_event_is_outdated_by_a_later_one_about_the_same_name_in_the_same_room() -> None:
    order = PresenceOrder()
    for event in (
        presence(5),
        presence(7, event="leave"),
        presence(7),
        presence(3, "bob"),
        presence(3, room="dogs"),
    ):
        assert order.current(event) == event
    assert order.current(presence(6)) is None
    assert order.current(presence(6, room="dogs")) == presence(6, room="dogs")


def test_of_several_names_only_those_are_left_that_are_not_outdated() -> None:
    order = PresenceOrder()
    assert order.current(presence(5, "bob")) == presence(5, "bob")
    assert order.current(presence(4, "ann", "bob", "carol")) == presence(4, "ann", "carol")
    assert order.current(presence(3, "ann", "bob", "dave")) == presence(3, "dave")
    assert order.current(presence(2, "ann", "bob")) is None


def test_a_room_that_was_left_is_forgotten() -> None:
    order = PresenceOrder()
    order.current(presence(5))
    order.forget("cats")
    order.forget("dogs")
    assert order.current(presence(4)) == presence(4)


def test_not_all_names_are_remembered_for_ever() -> None:
    order = PresenceOrder()
    order.current(presence(5, "first"))
    order.current(presence(5, "second"))
    order.current(presence(6, "first"))
    for number in range(MOST_NAMES - 1):
        order.current(presence(7, f"name {number}"))
    assert order.current(presence(5, "first")) is None
    assert order.current(presence(4, "second")) == presence(4, "second")
