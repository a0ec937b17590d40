"""The images and the compose file say what the program understands."""

import json
import re
import shlex
from datetime import timedelta
from fnmatch import fnmatch
from typing import Any

import pytest
import yaml

from reuse_queue.cli import commands
from reuse_queue.settings import Settings
from support.documents import ROOT, parse

DOCKERFILE = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("scaler", "agent")


def instructions(word: str) -> list[str]:
    text = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^(?:HEALTHCHECK .*)?{word} (.*)$", text, re.MULTILINE)


def test_every_command_of_an_image_is_one() -> None:
    assert json.loads(instructions("ENTRYPOINT")[0]) == ["reuse-queue"]
    lines = [json.loads(each) for each in instructions("CMD")]
    assert len(lines) == 3
    for words in lines:
        parse(commands, words[1:] if words[0] == "reuse-queue" else words)


@pytest.mark.parametrize("name", OURS)
def test_every_service_runs_a_command_that_is_one(name: str) -> None:
    parse(commands, SERVICES[name]["command"])


@pytest.mark.parametrize("name", OURS)
def test_every_service_is_built_from_a_target_that_is_one(name: str) -> None:
    build = SERVICES[name]["build"]
    assert (ROOT / "docker" / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    assert f" AS {build['target']}\n" in DOCKERFILE


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_a_service_is_a_setting(name: str) -> None:
    environment = SERVICES[name]["environment"]
    settings = Settings.from_env(environment)
    changed = [
        key for key in environment if Settings.from_env({key: environment[key]}) != Settings()
    ]
    assert changed == list(environment)
    assert settings.redis_url == "redis://redis:6379/0"


def test_what_an_image_copies_is_there_and_not_ignored() -> None:
    kept = [
        line[1:]
        for line in (ROOT / "docker/Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for line in instructions("COPY"):
        for source in shlex.split(line)[:-1]:
            assert (ROOT / source).exists()
            assert any(fnmatch(source, pattern) for pattern in kept), source


def test_the_image_does_not_run_as_root() -> None:
    assert instructions("USER") == ["10001"]


def test_redis_keeps_what_it_was_given() -> None:
    options = dict(zip(*[iter(SERVICES["redis"]["command"][1:])] * 2, strict=True))
    assert options == {"--appendonly": "yes", "--maxmemory-policy": "noeviction"}
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]
    assert "ports" not in SERVICES["redis"]


def test_an_agent_may_drain_before_it_is_killed() -> None:
    grace = timedelta(seconds=float(SERVICES["agent"]["stop_grace_period"].removesuffix("s")))
    assert grace > Settings().drain_grace
