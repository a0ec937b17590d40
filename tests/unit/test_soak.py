"""The soak's report: what counts as growth."""

from soak.figures import ALLOWED, KEYS, MEMORY, figures, table

BEFORE = {"Redis": {KEYS: 29.0}, "scaler": {MEMORY: 30.0}}


def test_a_figure_has_grown_when_it_is_beyond_its_limit_and_no_sooner():
    at_limit = {"Redis": {KEYS: 29.0 + ALLOWED[KEYS]}, "scaler": {MEMORY: 30.0 + ALLOWED[MEMORY]}}
    beyond = {"Redis": {KEYS: 1029.0}, "scaler": {MEMORY: 38.1}}
    assert [str(row) for row in figures(BEFORE, at_limit) if row.grew] == []
    assert [str(row) for row in figures(BEFORE, beyond) if row.grew] == [
        "Redis: keys",
        "scaler: memory (MiB)",
    ]


def test_a_process_that_came_while_the_jobs_ran_is_growth_and_one_that_went_is_none():
    after = {"Redis": {KEYS: 29.0}, "stray": {MEMORY: 20.0}}
    grown = [str(row) for row in figures(BEFORE, after) if row.grew]
    assert grown == ["stray: memory (MiB)"]


def test_the_table_marks_what_grew():
    shown = table(figures(BEFORE, {"Redis": {KEYS: 1029.0}, "scaler": {MEMORY: 30.04}}))
    assert "29 → 1,029 **grew**" in shown
    assert "| scaler | 30 → 30 |" in shown
