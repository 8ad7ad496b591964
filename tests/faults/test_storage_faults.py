"""DynamoDB at its worst: throttling, conflicts, lost answers, parts of batches, old rows, large rooms."""

import threading

import pytest

from chalicelib.storage.faults import WRITE_TRIES
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.clients import Crowd
from tests.rig.faults import StorageFault, StorageFaults, counted, in_turn
from tests.rig.rig import Rig
from tests.waiting import eventually

# What botocore tries: see DYNAMODB in bootstrap.py.
ATTEMPTS = 4
# In s: what it tries, and then storage again.
LONG = 30


class TestLostAnswers:
    """A request is done, and its answer does not come in time: botocore makes it again."""

    def test_a_number_that_was_taken_twice_is_a_gap_and_no_repeat(self, crowd: Crowd, tables: Tables) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        assert ann.ask("onMessage", message="one")["seq"] == 1
        faults = StorageFaults(tables.client, in_turn("UpdateItem", StorageFault.LOST))
        assert ann.ask("onMessage", message="two")["seq"] == 3
        assert faults.injected == {"lost": 1}
        bob.gets("one", "two")
        # The client that sees the gap asks, and what is not there never was.
        answer = bob.ask("history", after=1)
        assert answer["complete"]
        assert [message["seq"] for message in answer["messages"]] == [3]
        assert ann.ask("onMessage", message="three")["seq"] == 4

    @pytest.mark.parametrize("ref", [None, "r1"])
    def test_a_message_is_stored_and_sent_once(self, crowd: Crowd, tables: Tables, ref: str | None) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        operation = "TransactWriteItems" if ref else "PutItem"
        faults = StorageFaults(tables.client, in_turn(operation, StorageFault.LOST))
        ann.say("hi", **({"ref": ref} if ref else {}))
        ack = ann.event(lambda event: event["type"] == "ack")
        assert (ack["seq"], ack["duplicate"]) == (1, False)
        assert faults.injected == {"lost": 1}
        bob.gets("hi")
        assert [message["seq"] for message in bob.ask("history")["messages"]] == [1]

    @pytest.mark.parametrize("requests", range(3))
    def test_whoever_joins_is_in_and_whoever_leaves_is_out(
        self, crowd: Crowd, tables: Tables, requests: int
    ) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob", "cats")
        for operation in ("UpdateItem", "TransactWriteItems"):
            order = [None] * requests + [StorageFault.LOST]
            StorageFaults(tables.client, in_turn(operation, *order))
        ann.ask("joinRoom", room="cats")
        assert ann.ask("joinRoom", room="cats")["members"] == {"ann": 1, "bob": 1}
        bob.say("in", room="cats")
        ann.gets("in")
        ann.ask("leaveRoom", room="cats")
        bob.ask("onMessage", message="out", room="cats")
        assert bob.ask("who", room="cats")["members"] == {"bob": 1}
        ann.gets("in")


class TestThrottling:
    """A partition is hot: 1,000 write units a second are all that it has."""

    def test_in_a_transaction_that_passes_is_not_seen(self, crowd: Crowd, tables: Tables) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob", "cats")
        order = [StorageFault.THROTTLED] * (WRITE_TRIES - 1)
        faults = StorageFaults(tables.client, in_turn("TransactWriteItems", *order))
        assert ann.ask("joinRoom", room="cats")["type"] == "joined"
        assert faults.injected == {"throttled": WRITE_TRIES - 1}
        bob.say("in", room="cats")
        ann.gets("in")

    @pytest.mark.parametrize("operation", ["GetItem", "UpdateItem", "PutItem", "Query"])
    def test_that_passes_is_not_seen(self, crowd: Crowd, tables: Tables, operation: str) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        faults = StorageFaults(tables.client, in_turn(operation, *[StorageFault.THROTTLED] * 2))
        ann.say("hi")
        bob.gets("hi")
        assert ann.event(lambda event: event["type"] == "ack")["seq"] == 1
        assert faults.injected["throttled"] == 2 or operation == "Query"

    @pytest.mark.parametrize("operation", ["UpdateItem", "TransactWriteItems"])
    def test_that_stays_is_told_and_the_same_again_is_accepted_once(
        self, crowd: Crowd, tables: Tables, log: Log, operation: str
    ) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        hot = {operation}
        StorageFaults(tables.client, lambda asked, _: StorageFault.THROTTLED if asked in hot else None)
        ann.send({"action": "onMessage", "message": "hi", "ref": "r1"})
        assert eventually(lambda: any(event["type"] == "error" for event in ann.events), LONG)
        [error] = [event for event in ann.events if event["type"] == "error"]
        assert (error["code"], error["ref"]) == ("unavailable", "r1")
        hot.clear()
        # The line comes after the reply.
        assert eventually(lambda: log.lines[-1]["level"] == "ERROR")
        ann.lines.clear()
        assert ann.ask("onMessage", message="hi", ref="r1")["duplicate"] is False
        bob.gets("hi")

    def test_a_room_whose_members_cannot_be_read_has_the_message_all_the_same(
        self, crowd: Crowd, tables: Tables
    ) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        StorageFaults(tables.client, in_turn("Query", *[StorageFault.THROTTLED] * ATTEMPTS))
        ann.send({"action": "onMessage", "message": "hi", "ref": "r1"})
        assert ann.event(lambda event: event["type"] == "error")["code"] == "unavailable"
        ann.lines.clear()
        # Stored, and so accepted: the same again is the same message.
        assert ann.ask("onMessage", message="hi", ref="r1")["duplicate"] is True
        ann.ask("onMessage", message="ho")
        bob.gets("ho")
        [missed] = bob.ask("history", after=0)["messages"][:1]
        assert missed["message"] == "hi"


class TestConflicts:
    """Another transaction has one of the items."""

    def test_that_pass_are_not_seen(self, crowd: Crowd, tables: Tables) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob", "cats")
        order = [StorageFault.CONFLICT] * (WRITE_TRIES - 1)
        faults = StorageFaults(tables.client, in_turn("TransactWriteItems", *order))
        assert ann.ask("joinRoom", room="cats")["type"] == "joined"
        assert faults.injected == {"conflict": WRITE_TRIES - 1}
        bob.say("in", room="cats")
        ann.gets("in")

    def test_that_stay_are_told_and_change_nothing(self, crowd: Crowd, tables: Tables) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob", "cats")
        before = [row for row in tables.registry() if '"joinedAt"' in row or '"connectedAt"' in row]
        order = [StorageFault.CONFLICT] * WRITE_TRIES
        StorageFaults(tables.client, in_turn("TransactWriteItems", *order))
        assert ann.ask("joinRoom", room="cats")["code"] == "unavailable"
        assert before == [row for row in tables.registry() if '"joinedAt"' in row or '"connectedAt"' in row]
        assert bob.ask("who", room="cats")["members"] == {"bob": 1}
        assert ann.ask("joinRoom", room="cats")["type"] == "joined"
        bob.say("in", room="cats")
        ann.gets("in")

    def test_of_a_disconnect_with_a_join_are_not_seen(self, rig: Rig, crowd: Crowd, tables: Tables) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        faults = StorageFaults(tables.client, in_turn("DeleteItem", StorageFault.CONFLICT))
        bob.close()
        assert eventually(lambda: rig.settled and rig.functions.invocations["disconnect"] == 1)
        assert faults.injected == {"conflict": 1}
        assert ann.ask("who")["members"] == {"ann": 1}
        assert len(tables.items(tables.connections)) == 1

    def test_of_a_reader_with_a_writer_are_not_seen(self, crowd: Crowd, tables: Tables) -> None:
        ann = crowd.connect_json("ann")
        # A number that is taken, and has no message yet.
        StorageFaults(tables.client, in_turn("UpdateItem", StorageFault.LOST))
        assert ann.ask("onMessage", message="hi")["seq"] == 2
        faults = StorageFaults(tables.client, in_turn("PutItem", StorageFault.CONFLICT))
        answer = ann.ask("history", after=0)
        assert faults.injected == {"conflict": 1}
        assert (answer["complete"], [each["seq"] for each in answer["messages"]]) == (True, [2])


def test_parts_of_a_batch_are_done_again(rig: Rig, crowd: Crowd, tables: Tables) -> None:
    ann = crowd.connect_json("ann", *(f"room{number}" for number in range(5)))
    faults = StorageFaults(tables.client, in_turn("BatchWriteItem", *[StorageFault.PARTLY] * 3))
    ann.close()
    assert eventually(lambda: rig.functions.invocations["disconnect"] == 1 and rig.settled)
    assert faults.injected == {"partly": 3}
    assert tables.items(tables.connections) == tables.items(tables.rooms) == []


def test_a_row_that_has_expired_and_is_still_there_counts_for_nothing(
    rig: Rig, crowd: Crowd, tables: Tables
) -> None:
    rig.gateway.farewells = ()
    ghost = crowd.connect_json("ghost")
    expired = rig.connection_id(ghost.port)
    rig.advance(7261)
    assert ghost.ended() == 1001
    rig.gateway.farewells = (0,)
    ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
    assert any(expired in row for row in tables.registry())
    posts = rig.callbacks.posts
    ann.say("hi")
    bob.gets("hi")
    assert eventually(lambda: rig.settled)
    # To ann, to bob, and the ack: none to the ghost.
    assert rig.callbacks.posts == posts + 3
    assert ann.ask("who")["members"] == {"ann": 1, "bob": 1}
    assert ann.ask("privateMessage", to="ghost", message="boo")["code"] == "not_found"


def test_members_of_more_than_a_megabyte_are_read_to_the_last(rig: Rig, crowd: Crowd, tables: Tables) -> None:
    members = crowd.connect_many(40, "stadium", subprotocols=["chat.v1"])
    for item in tables.items(tables.rooms):
        # A page of a query ends at 1 MB.
        tables.client.update_item(
            TableName=tables.rooms,
            Key={key: item[key] for key in ("roomId", "connectionid")},
            UpdateExpression="SET padding = :pad",
            ExpressionAttributeValues={":pad": {"S": "x" * 60_000}},
        )
    rig.functions.forget()
    with counted(tables.client) as requests:
        members[0].ask("onMessage", message="hi", room="stadium")
    assert requests["Query"] == 3
    for member in members:
        member.gets("hi")


def test_who_joins_and_leaves_while_others_speak_misses_nothing_and_hears_no_more(
    rig: Rig, crowd: Crowd
) -> None:
    speakers = [crowd.connect_json(f"speaker{number}", "cats") for number in range(3)]
    movers = [crowd.connect_json(f"mover{number}", "dogs") for number in range(6)]
    done = threading.Event()

    def speak(number: int) -> None:
        count = 0
        while not done.is_set():
            count += 1
            speakers[number].ask("onMessage", message=f"{number}:{count}", room="cats")

    def move(number: int) -> None:
        mover = movers[number]
        for _ in range(5):
            joined = mover.ask("joinRoom", room="cats")
            # Somebody has spoken since, and somebody since then.
            now = speakers[0].ask("history", room="cats", limit=1)["seq"]
            later = speakers[0].ask("onMessage", message="mark", room="cats")["seq"]
            assert eventually(lambda later=later: later in seqs(mover), 20)
            missed = mover.ask("history", room="cats", after=joined["seq"])["messages"]
            known = seqs(mover) | {message["seq"] for message in missed}
            said = speakers[1].ask("history", room="cats", after=joined["seq"])["messages"]
            assert {message["seq"] for message in said if message["seq"] <= now} <= known
            mover.ask("leaveRoom", room="cats")
            # What is spoken from now on is for the others.
            after = speakers[0].ask("onMessage", message="after", room="cats")["seq"]
            assert after not in seqs(mover)
            assert max(seqs(mover)) < after

    def seqs(client: object) -> set[int]:
        return {event["seq"] for event in client.events if event.get("type") == "message"}  # type: ignore[attr-defined]

    speaking = [threading.Thread(target=speak, args=[number]) for number in (1, 2)]
    errors: list[BaseException] = []

    def moving(number: int) -> None:
        try:
            move(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=moving, args=[number]) for number in range(len(movers))]
    for thread in (*speaking, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    for thread in speaking:
        thread.join()
    assert not errors, errors
