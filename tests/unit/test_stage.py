"""The configuration of a stage, right and wrong, and what is packaged and copied of it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra import template
from infra.stage import ConfigurationError, Stage, UnknownStage
from infra.template import PackageError, check_policies, package
from local.sources import Sources

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what is deployed."""
    shutil.copytree(PROJECT / ".chalice", tmp_path / ".chalice", ignore=shutil.ignore_patterns("deploy*"))
    for file in ("app.py", "resources.json"):
        shutil.copy(PROJECT / file, tmp_path)
    shutil.copytree(PROJECT / "chalicelib", tmp_path / "chalicelib")
    return tmp_path


def change(project: Path, old: str, new: str) -> None:
    file = project / ".chalice" / "config.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


WRONG = {
    "a comma too many": ("\n  }\n}", ",\n  }\n}", r"config\.json, line \d+: "),
    "no object": ("{", "[{", r"config\.json, line \d+: "),
    "no stages": ('"stages"', '"steps"', "stages must be an object"),
    "a number": ('"CHAT_TABLE": "Chat"', '"CHAT_TABLE": 7', "CHAT_TABLE of the stage .* must be a string"),
}


@pytest.mark.parametrize(("old", "new", "says"), WRONG.values(), ids=WRONG)
def test_a_configuration_that_is_wrong_is_named(project: Path, old: str, new: str, says: str) -> None:
    change(project, old, new)
    with pytest.raises(ConfigurationError, match=says):
        _ = [Stage.load(project, name) for name in ("local", "dev", "prod")]


def test_one_that_is_not_there_is_named(project: Path) -> None:
    (project / ".chalice" / "config.json").unlink()
    with pytest.raises(ConfigurationError, match=r"config\.json cannot be read"):
        Stage.load(project, "dev")


def test_a_stage_that_is_not_there_is_named(project: Path) -> None:
    with pytest.raises(UnknownStage, match="there is no stage 'test'; there are local, dev, prod"):
        Stage.load(project, "test")


def test_a_table_that_is_left_out_has_its_usual_name(project: Path) -> None:
    change(project, '"CHAT_TABLE": "Chat",', "")
    for name in ("local", "dev"):
        assert Stage.load(project, name).tables["CHAT_TABLE"] == "Chat"


def role(*arns: str) -> dict[str, Any]:
    statements = [{"Effect": "Allow", "Resource": arn} for arn in arns]
    policies = [{"PolicyDocument": {"Statement": statements}}]
    return {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": policies}}}}


def test_the_policy_of_a_stage_that_was_copied_is_told() -> None:
    table, post = "arn:*:dynamodb:*:*:table/Chat", "arn:*:execute-api:*:*:*/{}/POST/@connections/*"
    for stage in ("dev", "*"):
        check_policies(role(table, post.format(stage)), "dev")
    with pytest.raises(PackageError, match=r"the stage staging lets it post to the stage dev alone"):
        check_policies(role(table, post.format("dev")), "staging")


def test_policies_name_no_partition() -> None:
    for file in (PROJECT / ".chalice").glob("policy-*.json"):
        for statement in json.loads(file.read_text())["Statement"]:
            assert statement["Resource"].startswith("arn:*:"), file


def test_a_requirement_that_cannot_be_built_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Creating deployment package.\n\nCould not install dependencies:\nodd==1.0\n"

    def chalice(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, stdout=said)

    monkeypatch.setattr(template.subprocess, "run", chalice)
    with pytest.raises(PackageError, match=r"odd==1\.0"):
        package(tmp_path, "dev", tmp_path / "out")


def test_a_file_that_vanishes_while_it_is_copied_is_left_out(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = Sources(project)
    listed = Path("chalicelib/4913")
    paths = [*sources._paths(), listed]
    monkeypatch.setattr(sources, "_paths", lambda: iter(paths))
    sources.copy_to(tmp_path / "copy")
    assert (tmp_path / "copy" / "app.py").exists()
    assert not (tmp_path / "copy" / listed).exists()
    assert listed.name not in " ".join(sources.changes())
