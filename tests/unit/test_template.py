"""What is made of Chalice's template."""

from typing import Any

from infra.template import THROTTLE, tighten

# Of an account, for all that its clients send and are sent: requests a second, and at once.
RATE, BURST = 10_000, 5_000


def chalices() -> dict[str, Any]:
    """The parts of a template of Chalice's that are tightened."""
    function = {"Properties": {"Environment": {"Variables": {}}}, "Type": "AWS::Serverless::Function"}
    stage = {"DeploymentId": {"Ref": "WebsocketAPIDeployment"}, "StageName": "dev"}
    return {
        "Resources": {
            "WebsocketAPIDeployment": {"Type": "AWS::ApiGatewayV2::Deployment"},
            "WebsocketAPIStage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": stage},
            "Deliver": {"Properties": {"Events": {}}, "Type": "AWS::Serverless::Function"},
            "Moderate": function,
            "Publish": function,
        }
    }


def test_the_stage_is_throttled_and_leaves_half_for_what_is_sent() -> None:
    template = chalices()
    tighten(template)
    settings = template["Resources"]["WebsocketAPIStage"]["Properties"]["DefaultRouteSettings"]
    assert settings == THROTTLE
    # A frame and its answer.
    assert 0 < 2 * settings["ThrottlingRateLimit"] <= RATE / 2
    assert 0 < 2 * settings["ThrottlingBurstLimit"] <= BURST / 2
