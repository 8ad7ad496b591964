"""The log of a room in JavaScript does what the one in Python does, whatever comes."""

import random
from typing import Any

import msgspec

from chalicelib.wire.events import Message, StoredMessages
from client.room_log import Missed, RoomLog
from tests.browser.conftest import Visit
from tests.browser.served import Served

TRACES = 400
STEPS = 40

# Runs traces: gives what each step gave, and what is asked for after it.
RUN = """
async (traces) => {
  const {RoomLog} = await import("/chat-client.js");
  const brief = ({type, after, epoch, seq}) => (type === "missed" ? ["missed", after] : [epoch, seq]);
  return traces.map(({history, steps}) => {
    const log = new RoomLog("lobby", history);
    return steps.map(([what, argument, answer]) => {
      let given = [];
      if (what === "live") given = log.live(argument);
      else if (what === "answered") given = log.answered(argument, answer);
      else if (what === "joined") log.joined(argument);
      else log.resume();
      const asked = log.question();
      return [given.map(brief), asked && [asked.after, asked.epoch, asked.limit, asked.held], log.begun];
    });
  });
}
"""


def message(seq: int, epoch: str) -> Message:
    text = f"{epoch}{seq}"
    return Message(room="lobby", seq=seq, epoch=epoch, id=text, sender=None, message=text, sent_at=seq)


def short(given: list[Message | Missed]) -> list[list[Any]]:
    return [["missed", each.after] if isinstance(each, Missed) else [each.epoch, each.seq] for each in given]


def trace(draw: random.Random) -> tuple[dict[str, Any], list[Any]]:
    """Let anything happen to a log: what happened, for the other one, and what this one did."""
    log = RoomLog("lobby", draw.choice([0, 3]))
    steps: list[list[Any]] = []
    outcomes: list[Any] = []
    question = None
    for _ in range(STEPS):
        given: list[Message | Missed] = []
        epoch = draw.choice("aaaaaaab")
        what = draw.choice(["live", "live", "answered", "answered", "joined", "resume"])
        question = log.question() if draw.random() < 0.8 else question
        if what == "answered" and question is not None:
            start = draw.randint(1, 12) if question.after is None else question.after + draw.randint(0, 2)
            seqs = sorted(draw.sample(range(start, start + 8), draw.randint(0, 5)))
            through = max([*seqs, question.after or 0]) + draw.choice([0, 0, 1, 3])
            answer = StoredMessages(
                room="lobby",
                seq=max([through if seqs else 0, draw.randint(0, 20)]),
                epoch=draw.choice([epoch, epoch, None]) if not seqs else epoch,
                messages=[message(seq, epoch) for seq in seqs],
                more=draw.random() < 0.3,
                complete=draw.random() < 0.7,
                through=through,
                ref=None,
            )
            given = log.answered(question, answer)
            asked = {
                "after": question.after,
                "epoch": question.epoch,
                "limit": question.limit,
                "held": question.held,
            }
            steps.append(["answered", asked, msgspec.to_builtins(answer)])
        elif what == "joined" and not log.begun:
            seq = draw.randint(0, 12)
            log.joined(seq)
            steps.append(["joined", seq])
        elif what == "resume":
            log.resume()
            steps.append(["resume"])
        else:
            live = message(draw.randint(1, 20), epoch)
            given = log.live(live)
            steps.append(["live", msgspec.to_builtins(live)])
        after = log.question()
        outcomes.append(
            [short(given), after and [after.after, after.epoch, after.limit, after.held], log.begun]
        )
    return {"history": log._history, "steps": steps}, outcomes


def test_it_gives_and_asks_for_the_same(served: Served, visit: Visit) -> None:
    draw = random.Random(7)
    traces, outcomes = zip(*(trace(draw) for _ in range(TRACES)), strict=True)
    # They see something of everything.
    kinds = [given[0] for outcome in outcomes for step in outcome for given in step[0]]
    assert kinds.count("missed") > 100
    assert kinds.count("b") > 100
    assert len(kinds) > 2000
    ours = visit(served.url).page.evaluate(RUN, list(traces))
    for trace_, wanted, got in zip(traces, outcomes, ours, strict=True):
        assert got == wanted, trace_
