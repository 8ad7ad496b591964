"""What the rig and the local stack both show. So the rig is held to something that is not of its making."""

import pytest
from websockets.exceptions import InvalidStatus

from tests.faults.conftest import World
from tests.waiting import eventually


def test_the_tutorials_conversation(world: World) -> None:
    ann, bob = world.crowd.connect(), world.crowd.connect()
    ann.say("Hello everyone")
    for client in (ann, bob):
        client.hears("Echo: Hello everyone")
    bob.say("Hello ann")
    for client in (ann, bob):
        client.hears("Echo: Hello everyone", "Echo: Hello ann")
    keys = {item["connectionid"]["S"] for item in world.items("connections")}
    assert len(keys) == len(world.items("connections")) == 2


def test_a_refused_upgrade_leaves_nothing(world: World) -> None:
    with pytest.raises(InvalidStatus) as refused:
        world.crowd.connect("a@b")
    # The local stack has this one status for all that is refused.
    assert refused.value.response.status_code == (400 if world.name == "rig" else 403)
    assert world.items("connections") == world.items("rooms") == []


def test_the_subprotocol_is_confirmed(world: World) -> None:
    assert world.crowd.connect_json().subprotocol == "chat.v1"
    assert world.crowd.connect().subprotocol is None


def test_who_disconnects_leaves_nothing_and_is_seen_to_go(world: World) -> None:
    ann, bob = world.crowd.connect("ann"), world.crowd.connect("bob")
    ann.close()
    assert eventually(lambda: "* ann left lobby" in bob.lines)
    assert eventually(lambda: len(world.items("connections")) == 1)
    bob.close()
    assert eventually(lambda: not world.items("connections") and not world.items("rooms"))


def test_a_message_reaches_a_hundred(world: World) -> None:
    ann = world.crowd.connect("ann", "stadium")
    others = world.crowd.connect_many(99, "stadium")
    ann.say("hi", room="stadium")
    ann.say("ho", room="stadium")
    for client in (ann, *others):
        assert eventually(lambda client=client: len(client.lines) == 2, 10)
        assert sorted(client.lines) == ["[stadium] ann: hi", "[stadium] ann: ho"]


def test_a_socket_that_breaks_stops_nobody(world: World) -> None:
    ann, bob, eve = (world.crowd.connect(name) for name in ("ann", "bob", "eve"))
    bob.vanish()
    ann.say("one")
    ann.say("two")
    for client in (ann, eve):
        assert eventually(lambda client=client: {"ann: one", "ann: two"} <= set(client.lines))
    assert eventually(lambda: len(world.items("connections")) == 2)


def test_an_unknown_action_is_told_and_the_socket_stays(world: World) -> None:
    ann = world.crowd.connect()
    ann.send({"action": "dance"})
    ann.send("nonsense")
    assert eventually(lambda: len(ann.lines) == 2)
    assert all(line.startswith("Error: ") for line in ann.lines)
    ann.send({"action": "ping"})
    assert eventually(lambda: ann.lines[2:] == ["pong"])


class TestLargeRooms:
    """Members beyond CHAT_INLINE_RECIPIENTS are sent to by workers, by way of the queue."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"CHAT_INLINE_RECIPIENTS": "3"}

    def test_everybody_gets_every_message(self, world: World) -> None:
        ann = world.crowd.connect_json("ann", "stadium")
        others = world.crowd.connect_many(30, "stadium", subprotocols=["chat.v1"])
        texts = [f"m{number}" for number in range(10)]
        for text in texts:
            ann.ask("onMessage", message=text, room="stadium")
        for client in (ann, *others):
            assert eventually(lambda client=client: set(client.texts) == set(texts), 20)
        # What came out of order can be put in order.
        seqs = {event["message"]: event["seq"] for event in ann.events if event["type"] == "message"}
        assert sorted(texts, key=seqs.__getitem__) == texts
