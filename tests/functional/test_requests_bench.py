"""bench/requests.py, as short as it can be: both clients against the sink. No speed is asserted."""

from pathlib import Path

import pytest

from bench import requests
from bench.requester import ANSWERS
from bench.sink import SinkError, SinkMissing
from tests.tools import missing


def test_each_client_makes_each_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "TURN", {"ours": (50, 5), "boto3": (20, 2)})
    try:
        measured = requests.measure(tmp_path, 1, None)
    except SinkMissing as error:
        missing(str(error))
    assert measured.keys() == {"ours", "boto3"}
    for took in measured.values():
        assert took.keys() == ANSWERS.keys()
        assert min(took.values()) > 0
    ratios = requests.ratios(measured)
    assert ratios["item_ratio"] == round(measured["boto3"]["Query"] / measured["ours"]["Query"], 2)
    assert ratios["single_ratio"] > 0


def test_a_client_that_fails_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # No answer is the one that it expects.
    monkeypatch.setattr(requests, "ANSWERS", {key: [] for key in ANSWERS})
    try:
        with pytest.raises(SinkError, match="failed"):
            requests.measure(tmp_path, 1, None)
    except SinkMissing as error:
        missing(str(error))
