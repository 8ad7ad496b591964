"""The same message again and again, and a history that was not kept: neither makes a log longer to read."""

from chalicelib.storage.messages import SPARE
from tests.faults.town import Town
from tests.rig.faults import counted

TIMES = 300


def numbers_of(town: Town, room: str) -> list[str]:
    """The numbers of a room's log that have an item."""
    return [
        item["entry"]["S"]
        for item in town.tables.items(town.tables.messages)
        if item["roomId"]["S"] == room and item["entry"]["S"].startswith("seq#")
    ]


def reading(town: Town, connection_id: str, **fields: int) -> tuple[list[str], int, float]:
    """Ask for the history: what it says, how many queries that takes, and how many units."""
    town.tables.client.units.update(read=0.0, write=0.0)
    with counted(town.tables.client) as requests:
        answer = town.ask(connection_id, "history", **fields)
    assert answer["complete"]
    # Whoever reads writes nothing.
    assert town.tables.client.units["write"] == 0
    texts = [message["message"] for message in answer["messages"]]
    return texts, requests["Query"], town.tables.client.units["read"]


def test_a_reference_that_is_repeated_uses_no_number() -> None:
    town = Town()
    ann, bob = town.arrive("ann"), town.arrive("bob")
    first = town.say(ann, "hi", ref="r1")
    _, _, before = reading(town, bob)
    for _ in range(TIMES):
        again = town.say(ann, "hi", ref="r1")
        assert (again["duplicate"], again["seq"], again["id"]) == (True, first["seq"], first["id"])
    assert len(numbers_of(town, "lobby")) == 1
    assert town.texts(bob) == ["hi"]
    assert reading(town, bob) == (["hi"], 1, before)
    assert town.say(ann, "ho")["seq"] == first["seq"] + 1
    assert reading(town, bob, after=0)[:2] == (["hi", "ho"], 1)


def test_nor_does_a_private_one_that_is_repeated() -> None:
    town = Town()
    ann, bob = town.arrive("ann"), town.arrive("bob")
    for number in range(TIMES):
        reply = town.ask(ann, "privateMessage", to="bob", message="psst", ref="r1")
        assert (reply["type"], reply["seq"], reply["duplicate"]) == ("ack", 1, number > 0)
    assert len(numbers_of(town, "@bob")) == 1
    for each in (ann, bob):
        assert [event["message"] for event in town.events(each, "private")] == ["psst"]


def test_numbers_that_stay_without_a_message_do_not_make_history_long_to_read() -> None:
    town = Town()
    ann, bob = town.arrive("ann"), town.arrive("bob")
    heads = town.lambdas.chats[0].services.pump._heads
    town.say(ann, "one")
    for _ in range(TIMES):
        # A writer that takes a number and dies.
        heads.next_message("lobby", heads.new_lease())
    town.pass_time(7)
    town.say(ann, "two")
    town.pass_time(30)
    assert town.texts(bob) == ["one", "two"]
    texts, queries, units = reading(town, bob)
    assert (texts, queries) == (["two"], 1)
    # As many items as were asked for, and some to spare; each of them is less than 300 bytes.
    assert units <= 3 + (50 + SPARE) * 300 / 4096 + 1


class TestHistoryThatWasNotKept:
    """``CHAT_HISTORY_DAYS`` was 0, and is more now."""

    def test_is_not_complete_and_nothing_is_written_for_it(self) -> None:
        before = Town(history_days=0)
        ann = before.arrive("ann")
        for number in range(TIMES):
            before.say(ann, f"m{number}")
        before.pass_time(61)
        town = Town(history_days=30, after=before)
        bob = town.arrive("bob")
        items = sorted(map(str, town.tables.items(town.tables.messages)))
        through, pages, more = 0, 0, True
        while more:
            with counted(town.tables.client) as requests:
                answer = town.ask(bob, "history", after=through)
            # After the last number nothing is missing.
            assert (answer["complete"], answer["messages"]) == (through == TIMES, [])
            assert (requests["Query"], requests["PutItem"], requests["UpdateItem"]) == (through < TIMES, 0, 0)
            through, pages, more = answer["through"], pages + 1, answer["more"]
        assert (through, answer["seq"]) == (TIMES, TIMES)
        # What has expired is there until DynamoDB deletes it.
        assert pages <= TIMES // 100 + 1
        assert sorted(map(str, town.tables.items(town.tables.messages))) == items
        for entry in numbers_of(town, "lobby"):
            key = {"roomId": {"S": "lobby"}, "entry": {"S": entry}}
            town.tables.client.delete_item(TableName=town.tables.messages, Key=key)
        answer = town.ask(bob, "history", after=0)
        assert (answer["complete"], answer["messages"], answer["more"]) == (False, [], False)
        assert answer["through"] == TIMES
        assert numbers_of(town, "lobby") == []

    def test_is_whole_from_then_on(self) -> None:
        before = Town(history_days=0)
        before.say(before.arrive("ann"), "forgotten")
        before.pass_time(61)
        town = Town(history_days=30, after=before)
        bob = town.arrive("bob")
        assert town.say(bob, "kept")["seq"] == 2
        answer = town.ask(bob, "history", after=1)
        assert (answer["complete"], [message["message"] for message in answer["messages"]]) == (
            True,
            ["kept"],
        )
        assert town.ask(bob, "history", after=0)["complete"] is False

    def test_what_is_kept_for_the_pump_alone_is_no_history(self) -> None:
        town = Town(history_days=0)
        ann = town.arrive("ann")
        town.say(ann, "hi")
        answer = town.ask(ann, "history", after=0)
        assert (answer["complete"], answer["messages"], answer["through"]) == (False, [], 1)

    def test_without_history_too_a_pump_that_dies_is_made_up_for(self) -> None:
        town = Town(history_days=0)
        ann, bob = town.arrive("ann"), town.arrive("bob")
        frame = {"action": "onMessage", "message": "hi", "ref": "r1"}
        # The caller, the claim, the number, the claim's number, the message.
        assert town.lambdas.ask(ann, frame, dies_after=5) is None
        assert town.texts(bob) == []
        town.pass_time(7)
        assert town.say(ann, "ho")["seq"] == 2
        assert town.texts(bob) == ["hi", "ho"]
        assert town.lambdas.ask(ann, frame)["duplicate"] is True  # type: ignore[index]
