import re
from dataclasses import fields

import pytest

from chalicelib.config import BOUNDS, ConfigError, Settings


def test_the_defaults_are_the_tutorials_table() -> None:
    settings = Settings.from_env({"PATH": "/bin", "AWS_REGION": "eu-west-1"})
    assert settings == Settings()
    assert (settings.table, settings.rooms_table, settings.messages_table) == (
        "Chat",
        "ChatRooms",
        "ChatMessages",
    )


def test_a_variable_sets_a_setting() -> None:
    settings = Settings.from_env({"CHAT_TABLE": "Chat-prod", "CHAT_MAX_CONCURRENCY": "8"})
    assert (settings.table, settings.max_concurrency) == ("Chat-prod", 8)
    assert Settings.from_env({"CHAT_HISTORY_DAYS": "0"}).history_days == 0


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("CHAT_TABEL", "Chat", "CHAT_TABEL is not a setting"),
        ("CHAT_TABLE", " ", "CHAT_TABLE is empty"),
        ("CHAT_MAX_ROOMS", "many", "CHAT_MAX_ROOMS must be a whole number from 1 to 96, not 'many'"),
        ("CHAT_MAX_ROOMS", "0", "CHAT_MAX_ROOMS must be"),
        ("CHAT_MAX_ROOMS", "-1", "CHAT_MAX_ROOMS must be"),
        ("CHAT_HISTORY_DAYS", "-1", "CHAT_HISTORY_DAYS must be a whole number from 0 to 36500"),
        ("CHAT_MAX_ROOMS", "٣", "CHAT_MAX_ROOMS must be"),
        ("CHAT_MAX_ROOMS", "", "CHAT_MAX_ROOMS must be"),
    ],
)
def test_a_bad_value_fails_by_name(variable: str, value: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Settings.from_env({variable: value})


def test_every_number_has_bounds() -> None:
    numbers = {field.name for field in fields(Settings) if type(field.default) is int}
    assert numbers == BOUNDS.keys()


@pytest.mark.parametrize("setting", BOUNDS)
def test_a_number_is_taken_within_its_bounds_alone(setting: str) -> None:
    variable = f"CHAT_{setting.upper()}"
    others = HMAC if setting.startswith("jwt") else {}
    least, most = BOUNDS[setting]
    assert least <= getattr(Settings(), setting) <= most
    for value in (str(least), str(most), f"000{most}"):
        assert getattr(Settings.from_env({**others, variable: value}), setting) == int(value)
    told = f"{variable} must be a whole number from {least} to {most}, not"
    for value in (str(least - 1), str(most + 1), "1e2", "1_0", " 1", "+1", "9" * 40, "9" * 5000):
        with pytest.raises(ConfigError, match=told):
            Settings.from_env({**others, variable: value})


SECRET = "arn:aws:ssm:eu-west-1:123456789012:parameter/chat/secret"
HMAC = {
    "CHAT_AUTH": "jwt",
    "CHAT_JWT_SECRET_ARN": SECRET,
    "CHAT_JWT_ISSUER": "issuer",
    "CHAT_JWT_AUDIENCE": "chat",
}
PUBLIC = {
    "CHAT_AUTH": "jwt",
    "CHAT_JWKS": "https://issuer.example/keys",
    "CHAT_JWT_ALGORITHMS": "RS256,ES256",
    "CHAT_JWT_ISSUER": "issuer",
    "CHAT_JWT_AUDIENCE": "chat",
}


def without(variable: str, env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name != variable}


@pytest.mark.parametrize(
    "env",
    [
        HMAC,
        {
            **HMAC,
            "CHAT_JWT_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:1:secret:chat/secret-AbCdEf",
        },
        PUBLIC,
        {**PUBLIC, "CHAT_JWT_ALGORITHMS": "EdDSA"},
        {**PUBLIC, "CHAT_JWKS": "chalicelib/keys.json"},
        {**PUBLIC, "CHAT_JWKS": "http://127.0.0.1:8000/keys"},
        {"CHAT_ALLOWED_ORIGINS": "https://a.example, http://localhost:8000", "CHAT_REQUIRE_ORIGIN": "true"},
        {"CHAT_API": "a1b2c3d4e5/dev"},
        {"CHAT_RATE_PER_SECOND": "0"},
    ],
)
def test_what_goes_together(env: dict[str, str]) -> None:
    Settings.from_env(env)


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"CHAT_AUTH": "oauth"}, "CHAT_AUTH must be none or jwt"),
        ({"CHAT_AUTH": "jwt"}, "CHAT_JWT_SECRET_ARN is missing"),
        ({**HMAC, "CHAT_AUTH": "none"}, "CHAT_JWT_SECRET_ARN needs CHAT_AUTH=jwt"),
        ({"CHAT_ROOMS_CLAIM": "rooms"}, "CHAT_ROOMS_CLAIM needs CHAT_AUTH=jwt"),
        ({"CHAT_JWKS": "keys.json"}, "CHAT_JWKS needs CHAT_AUTH=jwt"),
        ({**HMAC, "CHAT_JWKS": "keys.json"}, "CHAT_JWKS cannot be given with HS256"),
        ({**HMAC, "CHAT_JWT_ALGORITHMS": "HS256,RS256"}, "CHAT_JWT_ALGORITHMS must be HS256 alone"),
        ({**HMAC, "CHAT_JWT_ALGORITHMS": "none"}, "CHAT_JWT_ALGORITHMS must be"),
        ({**PUBLIC, "CHAT_JWT_ALGORITHMS": "RS256,none"}, "CHAT_JWT_ALGORITHMS must be"),
        ({**PUBLIC, "CHAT_JWT_ALGORITHMS": "rs256"}, "CHAT_JWT_ALGORITHMS must be"),
        ({**HMAC, "CHAT_JWT_SECRET_ARN": "a secret in plain sight"}, "CHAT_JWT_SECRET_ARN must be the ARN"),
        (
            {**HMAC, "CHAT_JWT_SECRET_ARN": "arn:aws:s3:::bucket/secret"},
            "CHAT_JWT_SECRET_ARN must be the ARN",
        ),
        ({**PUBLIC, "CHAT_JWT_SECRET_ARN": SECRET}, "CHAT_JWT_SECRET_ARN goes with HS256 alone"),
        (
            {**PUBLIC, "CHAT_JWKS": "http://issuer.example/keys"},
            "CHAT_JWKS must be an https://",
        ),
        ({**PUBLIC, "CHAT_JWKS": "ftp://issuer.example/keys"}, "CHAT_JWKS must be"),
        ({**PUBLIC, "CHAT_JWKS": "http://localhost:1@evil.example"}, "CHAT_JWKS must be"),
        (without("CHAT_JWKS", PUBLIC), "CHAT_JWKS is missing"),
        (
            {name: value for name, value in HMAC.items() if name != "CHAT_JWT_ISSUER"},
            "CHAT_JWT_ISSUER is missing",
        ),
        (
            {name: value for name, value in HMAC.items() if name != "CHAT_JWT_AUDIENCE"},
            "CHAT_JWT_AUDIENCE is missing",
        ),
        ({"CHAT_REQUIRE_ORIGIN": "true"}, "CHAT_REQUIRE_ORIGIN needs CHAT_ALLOWED_ORIGINS"),
        ({"CHAT_REQUIRE_ORIGIN": "yes"}, "CHAT_REQUIRE_ORIGIN must be true or false"),
        ({"CHAT_ALLOWED_ORIGINS": "*"}, "CHAT_ALLOWED_ORIGINS must be origins"),
        ({"CHAT_ALLOWED_ORIGINS": "https://a.example:443"}, "CHAT_ALLOWED_ORIGINS must be origins"),
        ({"CHAT_ALLOWED_ORIGINS": "http://a.example:80"}, "CHAT_ALLOWED_ORIGINS must be origins"),
        ({"CHAT_ALLOWED_ORIGINS": "null"}, "CHAT_ALLOWED_ORIGINS must be origins"),
        ({"CHAT_ALLOWED_ORIGINS": "https://A.example"}, "CHAT_ALLOWED_ORIGINS must be origins"),
        ({"CHAT_ALLOWED_ORIGINS": "https://a.example/"}, "CHAT_ALLOWED_ORIGINS must be origins"),
        ({"CHAT_ALLOWED_ORIGINS": "https://a.example,"}, "CHAT_ALLOWED_ORIGINS must be origins"),
        ({"CHAT_API": "https://a1b2.execute-api"}, "CHAT_API must be"),
    ],
)
def test_what_does_not_go_together_fails_by_name(env: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        Settings.from_env(env)
