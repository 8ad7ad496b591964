"""The issuer's keys: where they are read, how often, and which of them count."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jwt.algorithms import ECAlgorithm

from chalicelib.auth.jwks import LARGEST, Jwks, parse
from chalicelib.errors import KeysUnavailable
from tests.rig.clock import Clock
from tests.rig.key_server import KeyServer, serving_keys
from tests.tokens import NOW, SigningKey, key_set

OLD, NEW = SigningKey("ES256", "old"), SigningKey("ES256", "new")


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with serving_keys() as server:
        server.body = key_set(OLD)
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def has(keys: Jwks, kid: str | None, algorithm: str = "ES256") -> bool:
    return len(list(keys.keys(algorithm, kid))) == 1


def test_keys_are_read_once_and_not_for_each_token(server: KeyServer, clock: Clock) -> None:
    keys = Jwks(server.url, clock)
    assert server.requests == []
    assert all(has(keys, "old") for _ in range(50))
    assert server.requests == ["/keys"]


def test_an_unknown_kid_is_looked_for_once_a_minute(server: KeyServer, clock: Clock) -> None:
    keys = Jwks(server.url, clock)
    assert has(keys, "old")
    clock.now += 61
    for number in range(100):
        assert not has(keys, f"made-up-{number}")
    assert len(server.requests) == 2
    clock.now += 59
    assert not has(keys, "made-up")
    assert len(server.requests) == 2
    clock.now += 1
    assert not has(keys, "made-up")
    assert len(server.requests) == 3


def test_a_host_may_refuse_pythons_own_user_agent(server: KeyServer, clock: Clock) -> None:
    server.refused_agent = "Python-urllib"
    assert has(Jwks(server.url, clock), "old")


def test_without_an_id_all_fitting_keys_are_tried_up_to_a_bound(server: KeyServer, clock: Clock) -> None:
    server.body = key_set(OLD, NEW)
    keys = Jwks(server.url, clock)
    assert len(list(keys.keys("ES256", None))) == 2
    server.body = key_set(*(SigningKey("ES256", f"k{number}") for number in range(20)))
    clock.now += 61
    assert len(list(Jwks(server.url, clock).keys("ES256", None))) == 8


def test_a_key_without_an_id_may_be_of_any_token(server: KeyServer, clock: Clock) -> None:
    document = json.loads(key_set(OLD, NEW))
    del document["keys"][0]["kid"]
    server.body = json.dumps(document).encode()
    keys = Jwks(server.url, clock)
    assert has(keys, "unknown")
    assert has(keys, "new")


def test_several_keys_of_one_id_are_all_tried(server: KeyServer, clock: Clock) -> None:
    server.body = key_set(OLD, SigningKey("ES256", "old"))
    assert len(list(Jwks(server.url, clock).keys("ES256", "old"))) == 2


def test_a_new_key_is_found_and_the_old_one_counts_on(server: KeyServer, clock: Clock) -> None:
    keys = Jwks(server.url, clock)
    assert has(keys, "old")
    server.body = key_set(OLD, NEW)
    clock.now += 60
    assert has(keys, "new")
    assert has(keys, "old")


def test_a_key_that_is_withdrawn_does_not_count_for_long(server: KeyServer, clock: Clock) -> None:
    keys = Jwks(server.url, clock)
    assert has(keys, "old")
    server.body = key_set(NEW)
    clock.now += 600
    assert not has(keys, "old")
    assert has(keys, "new")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (404, b"{}"),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"keys": 3}'),
        (200, b"[" * 60_000),
        (200, b" " * (LARGEST + 1)),
        (200, b"\xff"),
    ],
    ids=["500", "404", "HTML", "list", "keys no list", "deep", "huge", "no UTF-8"],
)
def test_a_host_that_fails_takes_no_key_away(
    server: KeyServer, clock: Clock, status: int, body: bytes
) -> None:
    keys = Jwks(server.url, clock)
    assert has(keys, "old")
    server.status, server.body = status, body
    for _ in range(20):
        clock.now += 300
        assert has(keys, "old")
    assert len(server.requests) > 5


def test_a_host_that_is_gone_takes_no_key_away(clock: Clock) -> None:
    with serving_keys() as server:
        server.body = key_set(OLD)
        keys = Jwks(server.url, clock)
        assert has(keys, "old")
    clock.now += 3600
    assert has(keys, "old")


def test_without_any_keys_nobody_can_be_verified(server: KeyServer, clock: Clock) -> None:
    server.status = 500
    keys = Jwks(server.url, clock)
    for _ in range(10):
        with pytest.raises(KeysUnavailable):
            has(keys, "old")
    assert len(server.requests) == 1
    server.status = 200
    clock.now += 5
    assert has(keys, "old")


def test_a_redirect_is_not_followed(server: KeyServer, clock: Clock) -> None:
    with serving_keys() as evil:
        evil.body = key_set(OLD)
        server.status, server.location = 302, evil.url
        with pytest.raises(KeysUnavailable):
            has(Jwks(server.url, clock), "old")
        assert evil.requests == []


def test_keys_from_a_file(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(key_set(OLD))
    keys = Jwks(str(path), clock)
    assert has(keys, "old")
    path.unlink()
    clock.now += 3600
    assert has(keys, "old")


def test_a_token_without_kid_fits_the_only_key(server: KeyServer, clock: Clock) -> None:
    server.body = key_set(OLD, SigningKey("RS256", "rsa"))
    keys = Jwks(server.url, clock)
    assert has(keys, None)
    server.body = key_set(OLD, NEW)
    clock.now += 600
    assert not has(keys, None)


def test_a_key_is_for_one_algorithm(server: KeyServer, clock: Clock) -> None:
    assert not has(Jwks(server.url, clock), "old", "RS256")


RSA = SigningKey("RS256", "rsa")
UNFIT: dict[str, dict[str, Any]] = {
    "for encryption": {**RSA.jwk, "use": "enc"},
    "for another algorithm": {**RSA.jwk, "alg": "RS512"},
    "a secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "rsa"},
    "of another curve": {**OLD.jwk, "crv": "P-521"},
    "a private one": {**ECAlgorithm.to_jwk(OLD.private, as_dict=True), "kid": "old"},
    "broken": {**RSA.jwk, "n": "?"},
    "without its number": {name: value for name, value in RSA.jwk.items() if name != "n"},
    "not on the curve": {**OLD.jwk, "x": OLD.jwk["y"]},
    "short": SigningKey("RS256", "rsa", bits=1024).jwk,
    "of no type": {"kid": "rsa"},
    "of odd types": {"kty": ["RSA"], "kid": {}},
}


@pytest.mark.parametrize("jwk", UNFIT.values(), ids=UNFIT)
def test_an_unfit_key_is_left_out_and_the_others_count(jwk: dict[str, Any]) -> None:
    document = json.dumps({"keys": [jwk, "no key", NEW.jwk]}).encode()
    assert list(parse(document)) == [("ES256", "new")]
