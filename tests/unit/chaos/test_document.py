"""Figures go where a document has a place for them."""

from pathlib import Path

from chaos.document import publish

DOCUMENT = """# Title

<!-- one -->

old

<!-- end of one -->

between

<!-- two -->

other

<!-- end of two -->
"""


def test_one_part_of_a_document_is_replaced_as_often_as_one_likes(tmp_path: Path):
    path = tmp_path / "document.md"
    path.write_text(DOCUMENT)
    publish(path, "one", "middle\n")
    publish(path, "one", "new\n")
    assert path.read_text() == DOCUMENT.replace("old", "new")


def test_a_file_without_such_a_part_is_the_text_alone(tmp_path: Path):
    path = tmp_path / "report.md"
    publish(path, "one", "text\n")
    publish(path, "one", "another\n")
    assert path.read_text() == "another\n"
