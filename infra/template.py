"""The CloudFormation template of a stage: Chalice's, merged with resources.json, and tightened."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Template = dict[str, Any]

# What `chalice package` calls its two files.
TEMPLATE_FILE = "sam.json"
CODE_FILE = "deployment.zip"
# What `chalice package` says, and exits with 0, where a wheel is missing.
UNBUILT = "Could not install dependencies"
AUTHORIZER = Path(__file__).with_name("authorizer.json")
# What the stage takes in, in requests a second and at once: connects, frames, disconnects. An account has
# 10,000 and 5,000 for them and for what is sent to clients together. Each frame may get an answer, so a
# flood of frames takes half of that at the most, and half is left to send messages.
THROTTLE = {"ThrottlingRateLimit": 2500, "ThrottlingBurstLimit": 1250}


class PackageError(Exception):
    """``chalice package`` failed; its output, with the traceback of an app that does not import."""


@dataclass(frozen=True)
class Package:
    """What is deployed.

    Attributes:
        template: The template; its functions have no code yet.
        code: The zip of the functions' code.
    """

    template: Template
    code: Path


def package(project: Path, stage: str, out: Path, authorized: bool = False) -> Package:
    """Package the project for a stage, merged with its resources.json.

    Args:
        project: Folder of app.py.
        stage: Name of the stage.
        out: Folder for the files; made where it is not there.
        authorized: Whether a Lambda authorizer stands before ``$connect``: merges authorizer.json too.

    Raises:
        PackageError: The app does not import, has no WebSocket handler, or Chalice cannot package it; or the
            policy is of another stage.
    """
    chalice = [str(Path(sys.executable).with_name("chalice")), "package", "--stage", stage]
    # Chalice wants a region to name the service principals by; they are the same in all of a partition.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    done = subprocess.run(  # noqa: S603 (it is Chalice, of this interpreter)
        [*chalice, "--merge-template", "resources.json", str(out.resolve())],
        cwd=project,
        env={**os.environ, "AWS_DEFAULT_REGION": region},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Of a requirement that cannot be built Chalice says so, and goes on.
    if done.returncode != 0 or UNBUILT in done.stdout:
        raise PackageError(done.stdout.strip())
    template = json.loads((out / TEMPLATE_FILE).read_text())
    if "WebsocketAPI" not in template["Resources"]:
        raise PackageError("app.py has no WebSocket handler")
    check_policies(template, stage)
    tighten(template)
    if authorized:
        merge(template, json.loads(AUTHORIZER.read_text()))
    return Package(template, out / CODE_FILE)


def check_policies(template: Template, stage: str) -> None:
    """Make sure that the roles may post to this stage.

    Raises:
        PackageError: They may post to another one alone: a stage was copied together with its policy.
    """
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                arn = str(statement["Resource"])
                service, path = arn.split(":", 5)[2], arn.split(":", 5)[-1].split("/")
                if service == "execute-api" and path[1] not in (stage, "*"):
                    raise PackageError(
                        f"the policy of the stage {stage} lets it post to the stage {path[1]} alone: copy"
                        f" .chalice/policy-{path[1]}.json to .chalice/policy-{stage}.json, change the stage"
                        " and the tables in it, and make it the iam_policy_file of the stage"
                    )


def merge(template: Template, other: Template) -> None:
    """Put what another template has into this one; where both have a value, the other's counts."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(template.get(key), dict):
            merge(template[key], value)
        else:
            template[key] = value


def tighten(template: Template) -> None:
    """Make of Chalice's template one that names this API alone, throttles it, and deploys each change."""
    resources = template["Resources"]
    # Chalice's deployment is a snapshot that no later update renews: a route or an authorizer
    # that is changed would never be live.
    del resources["WebsocketAPIDeployment"]
    stage = resources["WebsocketAPIStage"]["Properties"]
    del stage["DeploymentId"]
    stage["AutoDeploy"] = True
    stage["DefaultRouteSettings"] = THROTTLE
    # By its name alone, CloudFormation would connect the worker to a queue that is not there yet.
    worker = resources["Deliver"]["Properties"]["Events"]
    for source in worker.values():
        source["Properties"]["Queue"] = {"Fn::GetAtt": ["FanOut", "Arn"]}
    # The operator's functions get no event of a socket, which would tell.
    api = {"Fn::Sub": f"${{WebsocketAPI}}/{stage['StageName']}"}
    for function in ("Moderate", "Publish"):
        resources[function]["Properties"]["Environment"]["Variables"]["CHAT_API"] = api
    roles = [each for each in resources.values() if each["Type"] == "AWS::IAM::Role"]
    for role in roles:
        for policy in role["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                statement["Resource"] = {"Fn::Sub": pinned(statement["Resource"])}


def pinned(arn: str) -> str:
    """Name in an ARN what a policy file, which serves every account and API, can only leave open.

    >>> pinned("arn:aws:execute-api:*:*:*/dev/POST/@connections/*")
    'arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${WebsocketAPI}/dev/POST/@connections/*'
    """
    _, _, service, _, _, resource = arn.split(":", 5)
    if service == "execute-api":
        resource = resource.replace("*", "${WebsocketAPI}", 1)
    return f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}"
