"""Tokens: what is taken, and everything that is not."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib.auth.jwks import parse
from chalicelib.auth.tokens import Tokens
from chalicelib.config import Settings
from chalicelib.errors import BadToken, TokenExpired
from tests.rig.clock import Clock
from tests.tokens import AUDIENCE, ISSUER, NOW, SECRET, SigningKey, assembled, claims, key_set, signed

HMAC = {"CHAT_JWT_SECRET_ARN": "arn:aws:ssm:us-east-1:1:parameter/chat/secret"}
PUBLIC = {"CHAT_JWKS": "keys.json", "CHAT_JWT_ALGORITHMS": "RS256,ES256,EdDSA"}
COMMON = {"CHAT_AUTH": "jwt", "CHAT_JWT_ISSUER": ISSUER, "CHAT_JWT_AUDIENCE": AUDIENCE}


class Known:
    """Keys that are at hand: the same secret for everything, or those of a set."""

    def __init__(self, *keys: SigningKey) -> None:
        self.set = parse(key_set(*keys))
        self.secret = b"" if keys else SECRET
        self.asked: list[tuple[str, str | None]] = []

    def keys(self, algorithm: str, kid: str | None) -> Iterator[Any]:
        self.asked.append((algorithm, kid))
        yield from [self.secret] if self.secret else self.set.get((algorithm, kid), [])


RSA, EC, ED = SigningKey("RS256", "rsa"), SigningKey("ES256", "ec"), SigningKey("EdDSA", "ed")


def by_secret(**settings: str) -> Tokens:
    env = {**COMMON, **HMAC, **{f"CHAT_{name.upper()}": value for name, value in settings.items()}}
    return Tokens(Settings.from_env(env), Known(), Clock(NOW))


def by_keys(*keys: SigningKey, **settings: str) -> Tokens:
    env = {**COMMON, **PUBLIC, **{f"CHAT_{name.upper()}": value for name, value in settings.items()}}
    return Tokens(Settings.from_env(env), Known(*(keys or (RSA, EC, ED))), Clock(NOW))


def test_a_good_token_says_who_and_until_when() -> None:
    identity = by_secret().verify(signed())
    assert (identity.name, identity.expires_at, identity.rooms) == ("alice", NOW + 3600, None)


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.algorithm)
def test_each_algorithm_verifies_its_own_key(key: SigningKey) -> None:
    assert by_keys().verify(key.signed(sub="bob")).name == "bob"


def test_the_name_is_from_the_claim_that_is_set() -> None:
    token = signed(sub="1234", nick="alice")
    assert by_secret(jwt_name_claim="nick").verify(token).name == "alice"


def test_an_audience_among_others_is_fine() -> None:
    assert by_secret().verify(signed(aud=["other", AUDIENCE])).name == "alice"


def test_what_an_issuer_has_in_claims_that_are_not_ours_does_not_matter() -> None:
    token = signed(sub=17, jti=18, iat="today", nick="alice")
    assert by_secret(jwt_name_claim="nick").verify(token).name == "alice"


# Ids of users as the issuers make them: what ``sub`` is by default.
SUBJECTS = {
    "Cognito": "c9d7e1f0-1c2d-4e5f-8a9b-1234567890ab",
    "Auth0": "auth0|5f7c8ec7c33c6c004bbafe82",
    "Auth0 by Google": "google-oauth2|103547991597142817347",
    "Keycloak": "0b5a3f9e-7d2c-4a43-9a5b-2f8f1d6f6a10",
    "Firebase": "Zb5bWvU9c1Qw8r2mXyZ0aBcDeFg1",
    "Entra ID": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_ids_of_the_usual_issuers_are_names(subject: str) -> None:
    assert by_secret().verify(signed(sub=subject)).name == subject


REASONS: dict[str, tuple[str, dict[str, Any]]] = {
    "a slash too many": ("iss", {"iss": f"{ISSUER}/"}),
    "no issuer": ("iss", {"iss": None}),
    "audience": ("aud", {"aud": "another chat"}),
    "no audience": ("aud", {"aud": None}),
    "not yet": ("nbf", {"nbf": NOW + 1}),
    "no expiry": ("exp", {"exp": None}),
    "name": ("name: sub", {"sub": "al#ice"}),
}


@pytest.mark.parametrize(("reason", "changes"), REASONS.values(), ids=REASONS)
def test_the_log_can_say_which_claim_is_wrong(reason: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BadToken) as bad:
        by_secret().verify(signed(**changes))
    assert bad.value.reason == reason
    assert str(bad.value) == "the token is not valid" or reason == "name: sub"


def test_it_can_say_what_is_wrong_with_the_token_itself() -> None:
    wrong = {
        "signature": EVIL.signed({"kid": "rsa"}),
        "kid": RSA.signed({"kid": "unknown"}),
        "alg": signed(),
        "form": "a.b",
        "length": "x" * 10_000,
    }
    for reason, token in wrong.items():
        with pytest.raises(BadToken) as bad:
            by_keys().verify(token)
        assert bad.value.reason == reason


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "foreign issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "foreign audience": {"aud": "another chat"},
    "no audience": {"aud": None},
    "no expiry": {"exp": None},
    "expiry as text": {"exp": str(NOW + 3600)},
    "expiry true": {"exp": True},
    "expiry endless": {"exp": float("inf")},
    "expiry no number": {"exp": float("nan")},
    "expiry huge": {"exp": 10**300},
    "expiry negative": {"exp": -1},
    "not valid yet": {"nbf": NOW + 1},
    "beginning as text": {"nbf": "tomorrow"},
    "no name": {"sub": None},
    "empty name": {"sub": ""},
    "name of another type": {"sub": 17},
    "name with a line feed": {"sub": "al\nice"},
    "name with a hash": {"sub": "al#ice"},
    "name with an at": {"sub": "@alice"},
    "name too long": {"sub": "a" * 65},
    "name not in normal form": {"sub": "ａlice"},  # noqa: RUF001
    "name with blanks around": {"sub": " alice"},
}


@pytest.mark.parametrize("changes", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_a_signed_token_that_says_the_wrong_thing(changes: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        by_secret().verify(signed(**changes))


def test_an_expired_token_is_told_apart() -> None:
    with pytest.raises(TokenExpired):
        by_secret().verify(signed(exp=NOW))
    with pytest.raises(TokenExpired):
        by_secret().verify(signed(exp=0))


def test_the_leeway_is_given_both_ways() -> None:
    tokens = by_secret(jwt_leeway_seconds="5")
    assert tokens.verify(signed(exp=NOW - 4)).expires_at == NOW + 1
    assert tokens.verify(signed(nbf=NOW + 5)).name == "alice"
    with pytest.raises(TokenExpired):
        tokens.verify(signed(exp=NOW - 5))
    with pytest.raises(BadToken):
        tokens.verify(signed(nbf=NOW + 6))


def hmac_signed(header: dict[str, Any], key: bytes, payload: object = None) -> str:
    """A token that is signed by HMAC, whatever its header and payload say."""
    unsigned = assembled(header, claims() if payload is None else payload).rpartition(".")[0]
    signature = hmac.digest(key, unsigned.encode(), hashlib.sha256)
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def public_pem(key: SigningKey) -> bytes:
    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[no-any-return]


FORGED = {
    "alg none": assembled({"alg": "none"}, claims()),
    "alg None": assembled({"alg": "None"}, claims()),
    "alg nOnE with a signature": assembled({"alg": "nOnE"}, claims(), b"x"),
    "no alg": hmac_signed({"typ": "JWT"}, SECRET),
    "alg of another type": assembled({"alg": ["HS256"]}, claims()),
    "another HMAC": signed(SECRET * 2, algorithm="HS512"),
    "another secret": signed(b"another secret, 32 bytes long ..."),
    "empty secret": hmac_signed({"alg": "HS256"}, b""),
    "no signature": assembled({"alg": "HS256"}, claims()),
    "crit": signed(header={"crit": ["exp"], "exp": 1}),
    "b64": hmac_signed({"alg": "HS256", "b64": False, "crit": ["b64"]}, SECRET),
    "kid of another type": hmac_signed({"alg": "HS256", "kid": {"a": 1}}, SECRET),
    "no token": "",
    "no parts": "token",
    "two parts": "a.b",
    "four parts": f"{signed()}.x",
    "an encrypted one": "a.b.c.d.e",
    "no base64": "é.é.é",
    "no JSON": "eyJ.eyJ.eyJ",
    "header is a list": assembled(["HS256"], claims()),
    "payload is a list": hmac_signed({"alg": "HS256"}, SECRET, [claims()]),
    "issuer of another type": hmac_signed({"alg": "HS256"}, SECRET, claims(iss=[ISSUER])),
    "deep header": base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.x",
    "lone surrogate": "\ud800.e30.x",
    "oversized": signed(more="a" * 9000),
    "oversized and signed by nobody": "a" * 1_000_000,
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_what_the_secret_has_not_signed(token: str) -> None:
    with pytest.raises(BadToken):
        by_secret().verify(token)


def test_a_public_key_is_no_secret() -> None:
    """HS/RS confusion: what everybody has must not sign by HMAC."""
    for key in (public_pem(RSA), json.dumps(RSA.jwk).encode(), RSA.jwk["n"].encode()):
        token = hmac_signed({"alg": "HS256", "kid": "rsa"}, key)
        with pytest.raises(BadToken):
            by_keys().verify(token)


def test_a_symmetric_key_in_the_set_is_none() -> None:
    secret = base64.urlsafe_b64encode(SECRET).decode()
    document = {"keys": [{"kty": "oct", "k": secret, "kid": "rsa", "alg": "HS256"}]}
    assert parse(json.dumps(document).encode()) == {}


def test_only_the_algorithms_that_are_set() -> None:
    tokens = by_keys(jwt_algorithms="ES256")
    assert tokens.verify(EC.signed()).name == "alice"
    for key in (RSA, ED):
        with pytest.raises(BadToken):
            tokens.verify(key.signed())


EVIL = SigningKey("RS256", "evil")
EMBEDDED = {
    "jku": {"jku": "https://evil.example/keys"},
    "jwk": {"jwk": EVIL.jwk},
    "x5u": {"x5u": "https://evil.example/cert"},
    "x5c": {"x5c": ["MIIB"]},
}


@pytest.mark.parametrize("header", EMBEDDED.values(), ids=EMBEDDED)
@pytest.mark.parametrize("kid", ["evil", "rsa"])
def test_a_token_does_not_bring_its_own_key(header: dict[str, Any], kid: str) -> None:
    with pytest.raises(BadToken):
        by_keys().verify(EVIL.signed({**header, "kid": kid}))


@pytest.mark.parametrize(
    "kid", ["../../etc/passwd", "/dev/null", "x' OR 1=1", "http://127.0.0.1/", "a\0b", "", 7, None, ["rsa"]]
)
def test_a_kid_is_looked_up_and_nothing_else(kid: object) -> None:
    header = {"alg": "RS256", "kid": kid}
    tokens = by_keys()
    with pytest.raises(BadToken):
        tokens.verify(assembled(header, claims(), b"x"))


def test_the_signature_is_of_this_token() -> None:
    good, other = signed(), signed(sub="bob")
    mixed = ".".join([*other.split(".")[:2], good.split(".")[2]])
    with pytest.raises(BadToken):
        by_secret().verify(mixed)


@pytest.mark.parametrize(
    ("claim", "rooms"),
    [(["cats", "team-*"], ("cats", "team-*")), ([], ()), (None, ())],
    ids=["listed", "empty", "missing"],
)
def test_rooms_are_what_the_token_lists(claim: object, rooms: tuple[str, ...]) -> None:
    assert by_secret(rooms_claim="rooms").verify(signed(rooms=claim)).rooms == rooms


@pytest.mark.parametrize("claim", ["cats", {"cats": 1}, [1], [["cats"]], True])
def test_rooms_that_are_no_list(claim: object) -> None:
    with pytest.raises(BadToken):
        by_secret(rooms_claim="rooms").verify(signed(rooms=claim))
