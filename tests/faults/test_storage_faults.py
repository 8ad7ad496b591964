"""DynamoDB at its worst: throttling, conflicts, lost answers, parts of batches, old rows, large rooms."""

import threading

import pytest

from chalicelib.storage.faults import WRITE_TRIES
from chalicelib.tasks import PumpRoom
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.clients import Crowd, SocketClient
from tests.rig.faults import StorageFault, StorageFaults, counted, in_turn
from tests.rig.rig import Rig
from tests.waiting import eventually

# What the client tries: see aws/dynamodb.py.
ATTEMPTS = 4


class TestLostAnswers:
    """A request is done, and its answer does not come in time: botocore makes it again."""

    def test_a_number_that_was_taken_twice_is_a_gap_and_no_repeat(
        self, rig: Rig, crowd: Crowd, tables: Tables
    ) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        assert ann.ask("onMessage", message="one")["seq"] == 1
        rig.settle()
        faults = StorageFaults(tables.client, in_turn("UpdateItem", StorageFault.LOST))
        ann.say("two")
        bob.gets("one", "two")
        assert faults.injected == {"lost": 1}
        rig.settle()
        # The client that sees the gap asks, and what is not there never was.
        answer = bob.ask("history", after=1)
        assert answer["complete"]
        assert [message["seq"] for message in answer["messages"]] == [3]
        rig.settle()
        # With a reference, in a room at rest, the number is known before it is taken: it is taken once.
        StorageFaults(tables.client, in_turn("UpdateItem", StorageFault.LOST))
        assert ann.ask("onMessage", message="three")["seq"] == 4
        assert bob.ask("onMessage", message="four")["seq"] == 5
        bob.gets("one", "two", "three", "four")

    @pytest.mark.parametrize(
        ("ref", "operation", "before"),
        [
            (None, "PutItem", 0),
            (None, "UpdateItem", 1),
            ("r1", "PutItem", 0),
            ("r1", "PutItem", 1),
            ("r1", "UpdateItem", 1),
            ("r1", "UpdateItem", 2),
        ],
        ids=["message", "end of the turn", "claim", "claimed message", "number of the claim", "its end"],
    )
    def test_a_message_is_stored_and_sent_once(
        self, rig: Rig, crowd: Crowd, tables: Tables, ref: str | None, operation: str, before: int
    ) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        rig.settle()
        faults = StorageFaults(tables.client, in_turn(operation, *[None] * before, StorageFault.LOST))
        ann.say("hi", **({"ref": ref} if ref else {}))
        ack = ann.event(lambda event: event["type"] == "ack")
        assert (ack["seq"], ack["duplicate"]) == (1, False)
        rig.settle()
        assert faults.injected == {"lost": 1}
        bob.gets("hi")
        assert [message["seq"] for message in bob.ask("history")["messages"]] == [1]
        # The room is free for who speaks next.
        assert ann.ask("onMessage", message="ho")["seq"] == 2
        bob.gets("hi", "ho")

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

    @pytest.mark.parametrize(
        ("operation", "before"),
        [("PutItem", 0), ("UpdateItem", 0), ("UpdateItem", 1), ("PutItem", 1)],
        ids=["at the claim", "at the number", "at the number of the claim", "at the message"],
    )
    def test_that_stays_is_told_and_the_same_again_is_accepted_once(
        self, rig: Rig, crowd: Crowd, tables: Tables, log: Log, operation: str, before: int
    ) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        rig.settle()
        order = [None] * before + [StorageFault.THROTTLED] * ATTEMPTS
        StorageFaults(tables.client, in_turn(operation, *order))
        ann.send({"action": "onMessage", "message": "hi", "ref": "r1"})
        error = ann.event(lambda event: event["type"] == "error")
        assert (error["code"], error["ref"]) == ("unavailable", "r1")
        # The line comes after the reply.
        assert eventually(lambda: log.lines[-1]["level"] == "ERROR")
        # Nobody waits for a lease: it was given back.
        assert ann.ask("onMessage", message="hi", ref="r1")["duplicate"] is False
        bob.gets("hi")
        assert ann.ask("onMessage", message="hi", ref="r1")["duplicate"] is True
        rig.settle()
        assert [each["message"] for each in bob.ask("history", after=0)["messages"]] == bob.texts == ["hi"]

    def test_a_room_whose_members_cannot_be_read_is_sent_the_message_by_a_worker(
        self, rig: Rig, crowd: Crowd, tables: Tables
    ) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        rig.settle()
        order = [StorageFault.THROTTLED] * ATTEMPTS
        faults = StorageFaults(tables.client, in_turn("Query", *order * 2))
        # It is stored, and there is somebody who sends it: that is what an ack says.
        assert ann.ask("onMessage", message="hi", ref="r1")["duplicate"] is False
        rig.settle()
        assert bob.texts == []
        assert [task.attempt for task in rig.queues.tasks(PumpRoom)] == [1]
        # Nor can the worker, at first.
        rig.advance(1)
        rig.settle()
        assert bob.texts == []
        assert faults.injected == {"throttled": len(order) * 2}
        rig.advance(3)
        for client in (ann, bob):
            client.gets("hi")
        rig.settle()
        assert rig.queues.idle
        assert rig.queues.dead_letters == []
        ann.ask("onMessage", message="ho")
        for client in (ann, bob):
            client.gets("hi", "ho")

    def test_whoever_speaks_next_is_faster_than_the_worker(
        self, rig: Rig, crowd: Crowd, tables: Tables
    ) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        rig.settle()
        StorageFaults(tables.client, in_turn("Query", *[StorageFault.THROTTLED] * ATTEMPTS))
        assert ann.ask("onMessage", message="hi")["type"] == "ack"
        assert bob.ask("onMessage", message="ho")["type"] == "ack"
        for client in (ann, bob):
            client.gets("hi", "ho")
        rig.advance(1)
        rig.settle()
        # There was nothing left for it.
        for client in (ann, bob):
            client.gets("hi", "ho")

    def test_a_message_that_nobody_could_be_left_with_is_sent_by_its_repetition(
        self, rig: Rig, crowd: Crowd, tables: Tables, log: Log
    ) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        rig.settle()
        StorageFaults(tables.client, in_turn("Query", *[StorageFault.THROTTLED] * ATTEMPTS))
        rig.queues.failing = ["ServiceUnavailable"] * 2
        ann.send({"action": "onMessage", "message": "hi", "ref": "r1"})
        assert ann.event(lambda event: event["type"] == "error")["code"] == "unavailable"
        rig.settle()
        assert bob.texts == []
        assert log.lines[-1]["level"] == "ERROR"
        # It was stored, and so it is the same message; its room is told of it now.
        again = ann.ask("onMessage", message="hi", ref="r1")
        assert (again["duplicate"], again["seq"]) == (True, 1)
        for client in (ann, bob):
            client.gets("hi")
        assert ann.ask("onMessage", message="hi", ref="r1")["duplicate"] is True
        rig.settle()
        # Once it is sent, another repetition is nothing to anybody.
        for client in (ann, bob):
            client.gets("hi")


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

    def test_of_a_pump_that_seals_with_a_writer_are_not_seen(
        self, rig: Rig, crowd: Crowd, tables: Tables
    ) -> None:
        ann = crowd.connect_json("ann")
        rig.settle()
        # A number that is taken, and gets no message.
        StorageFaults(tables.client, in_turn("UpdateItem", StorageFault.LOST))
        faults = StorageFaults(tables.client, in_turn("PutItem", None, StorageFault.CONFLICT))
        assert ann.ask("onMessage", message="hi")["seq"] == 2
        assert faults.injected == {"conflict": 1}
        ann.gets("hi")
        answer = ann.ask("history", after=0)
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
    rig.settle()
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

    def seqs(client: SocketClient) -> set[int]:
        return {message["seq"] for message in client.messages}

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
