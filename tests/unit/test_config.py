import pytest

from chalicelib.config import ConfigError, Settings


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
        ("CHAT_MAX_ROOMS", "many", "CHAT_MAX_ROOMS must be a whole number from 1 on, not 'many'"),
        ("CHAT_MAX_ROOMS", "0", "CHAT_MAX_ROOMS must be"),
        ("CHAT_MAX_ROOMS", "-1", "CHAT_MAX_ROOMS must be"),
        ("CHAT_HISTORY_DAYS", "-1", "CHAT_HISTORY_DAYS must be a whole number from 0 on"),
        ("CHAT_MAX_ROOMS", "٣", "CHAT_MAX_ROOMS must be"),
        ("CHAT_MAX_ROOMS", "", "CHAT_MAX_ROOMS must be"),
    ],
)
def test_a_bad_value_fails_by_name(variable: str, value: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Settings.from_env({variable: value})
