"""The project's documents, and the commands and tables that they show."""

import re
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def blocks(text: str, language: str) -> list[str]:
    return [body for name, body in _FENCE.findall(text) if name == language]


def command_lines(text: str, program: str) -> list[str]:
    """Every line of a console block and every code span that calls a program."""
    lines = [
        line.removeprefix("$ ").split("   #")[0]
        for block in blocks(text, "console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    spans = _SPAN.findall(_FENCE.sub("", text))
    return [line for line in [*lines, *spans] if line.split(" ")[0] == program]


def parse(command: click.Command, words: list[str], parent: click.Context | None = None) -> None:
    """Parse words as the command line that they are, without running it.

    A command's bare name is a mention of it, whatever arguments it needs.
    """
    if parent is not None and not words:
        return
    with command.make_context(command.name, list(words), parent=parent) as context:
        if isinstance(command, click.Group):
            # click keeps a group's own first word apart from the rest.
            rest = [*context._protected_args, *context.args]
            if not rest:
                return
            _, chosen, left = command.resolve_command(context, rest)
            assert chosen is not None
            parse(chosen, left, context)


def table(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its two head lines."""
    section = text.split(f"\n## {heading}\n")[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert rows is not None
    lines = rows[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in lines]
