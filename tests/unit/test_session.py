import pytest

from chalicelib.gateway.callback_url import local_endpoint
from chalicelib.gateway.session import GatewaySession

AWS = "https://a1b2.execute-api.us-east-1.amazonaws.com/dev"


def test_a_local_endpoint_keeps_api_and_stage() -> None:
    assert local_endpoint("http://localhost:4566/", AWS) == "http://localhost:4566/_aws/execute-api/a1b2/dev"


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({}, AWS),
        ({"AWS_ENDPOINT_URL": "http://a:1"}, "http://a:1/_aws/execute-api/a1b2/dev"),
        (
            {"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": "http://b:2"},
            "http://b:2/_aws/execute-api/a1b2/dev",
        ),
    ],
)
def test_the_client_goes_where_the_environment_says(
    variables: dict[str, str], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = GatewaySession().client("apigatewaymanagementapi", endpoint_url=AWS)
    assert client.meta.endpoint_url == endpoint
    assert client.meta.config.read_timeout == 2
    assert client.meta.config.read_timeout < 29
