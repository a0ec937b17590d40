"""The checker finds every wrong history, and only those."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chaos.checker import Violation, check
from chaos.found import Found, FoundDeath, FoundJob, FoundResult
from chaos.history import Fault, History, Run, Story, Unsure, told
from chaos.ledger import Ledger, read

LEASE = 6.0


def run(execution: str = "e1", *, at: float = 10.0, how: str = "returned", **more: Any) -> Run:
    given = {"pid": 1, "replica": "main-a-123", "ended": at + 1 if how else None, **more}
    return Run(execution=execution, began=at, how=how, **given)


def story(*runs: Run, kind: str = "quick", **more: Any) -> Story:
    given = {"accepted": 9.0, "told": ["ValueError"], **more}
    return Story(job="j", kind=kind, runs=list(runs), **given)


def job(status: str = "finished", *kinds: int, by: str = "e1", **more: Any) -> FoundJob:
    kinds = kinds or {"finished": (1,), "failed": (2,)}.get(status, ())
    results = tuple(
        FoundResult(kind=kind, execution=by, value=by if kind == 1 else None) for kind in kinds
    )
    given = {"registries": frozenset({status}), **more}
    return FoundJob(environment="main", status=status, results=results, **given)


def died(*deaths: tuple[str, float], **more: Any) -> FoundJob:
    """Return a job that was lost with these replicas, at these moments, and is dead."""
    lost = tuple(FoundDeath(replica=replica, at=at) for replica, at in deaths)
    return job("failed", losses=len(lost), deaths=lost, **more)


def broken(told: Story | None, there: FoundJob | None, *faults: Fault, **more: Any) -> set[str]:
    """Return the rules that one job's history breaks."""
    totals = {"main": (int(bool(there and there.status == "finished")),) * 1 + (0,)}
    if there is not None and there.status == "failed":
        totals = {"main": (0, 1)}
    unsure, calm_s = more.pop("unsure", []), more.pop("calm_s", 0.0)
    found = Found(**{"jobs": {"j": there} if there else {}, "totals": totals, **more})
    history = History(stories={"j": told} if told else {}, faults=list(faults), unsure=unsure)
    return {each.rule for each in check(history, found, lease=LEASE, calm_s=calm_s)}


def killed(at: float, **more: Any) -> Fault:
    return Fault(name="SIGKILL", injected=at, **{"healed": at, "pids": (1,), **more})


def silent(since: float, until: float, *hosts: str) -> Fault:
    return Fault(name="cut", injected=since, healed=until, hosts=hosts, silence=True)


def cut(since: float, until: float, *hosts: str) -> Fault:
    return Fault(name="resets", injected=since, healed=until, hosts=hosts, hinders=True)


RERUN = (run(at=10, how=""), run("e2", at=20))
ONCE = (("main-a-123", 11.0),)
THRICE = (("main-a-1", 11.0), ("main-b-2", 12.0), ("main-a-3", 13.0))
THREE_KILLS = tuple(killed(at, pids=(), replicas=(name,)) for name, at in THRICE)


# -- right ones -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "there", "faults"),
    [
        (story(run()), job(), ()),
        (story(), died(*THRICE), THREE_KILLS),
        (story(kind="unwanted", canceled=10.0), job("canceled"), ()),
        (story(run(how="canceled"), kind="unwanted", canceled=11.0), job("canceled"), ()),
        (
            story(run(how="raised"), run("e2", at=12, how="raised"), kind="failing"),
            job("failed"),
            (),
        ),
        (story(*RERUN), job(by="e2"), (killed(11),)),
        (story(*RERUN), job(by="e2"), (killed(11, pids=(), hosts=("a",)),)),
        (story(*RERUN), job(by="e2"), (silent(11, 17),)),
        (story(*RERUN), job(by="e2"), (silent(11, 17, "a"),)),
        (story(*RERUN), job(by="e2"), (silent(11, 12, "a"), silent(14, 16, "a"))),
        (story(run(), run("e2", at=20)), job(by="e2"), (killed(11),)),
        (story(run(), run("e2", at=20)), job(by="e2"), (killed(16), silent(10.5, 12))),
        (story(run(), run("e2", at=20)), job(by="e2"), (killed(16), cut(10.5, 12, "a"))),
        (
            story(run(), run("e2", at=20, pid=2)),
            job(),
            (killed(11, pids=(2,), healed=21, stopped=True),),
        ),
        (story(run(how=""), kind="once"), died(*ONCE), (killed(11),)),
        (story(run(how=""), kind="once"), died(*ONCE), (killed(11, pids=(), hosts=("a",)),)),
        (story(kind="once"), died(*ONCE), (killed(11, pids=(), hosts=("a",)),)),
        (story(*RERUN, kind="segfault"), job(by="e2", losses=1), ()),
        (story(run(how="canceled"), kind="late"), job("failed"), ()),
        (story(run(how=""), kind="stuck"), job("failed"), ()),
        (
            story(*(run(how="", at=at, replica=name) for name, at in THRICE), kind="poison"),
            died(*THRICE),
            (),
        ),
    ],
)
def test_a_right_history_breaks_no_rule(told: Story, there: FoundJob, faults: tuple[Fault, ...]):
    assert broken(told, there, *faults) == set()


# -- wrong ones, one for each way to break a rule ----------------------------------------------


def test_a_lost_job_is_found():
    assert broken(story(run()), None) == {"accepted jobs are there"}


@pytest.mark.parametrize("status", ["queued", "started", "scheduled", "deferred", ""])
def test_a_job_without_an_end_is_found(status: str):
    assert "every job ends" in broken(story(run()), job(status))


def test_a_job_without_an_end_that_nobody_was_told_of_is_found():
    unsure = [Unsure(kind="quick", jobs=1)]
    assert broken(None, job("started"), unsure=unsure) == {"every job ends"}


@pytest.mark.parametrize(
    "unsure",
    [[], [Unsure(kind="slow", jobs=9)], [Unsure(kind="quick", jobs=9, parent="p")]],
)
def test_a_job_that_nobody_has_enqueued_is_found(unsure: list[Unsure]):
    told = story(run(), accepted=None)
    assert broken(told, job(), unsure=unsure) == {"nothing is made up"}


@pytest.mark.parametrize(("jobs", "rules"), [(2, set()), (1, {"nothing is made up"})])
def test_more_jobs_than_an_enqueue_without_an_answer_has_made_are_found(jobs: int, rules: set[str]):
    history = History(unsure=[Unsure(kind="quick", jobs=jobs)])
    found = Found(jobs={"j": job("failed"), "k": job("failed")}, totals={"main": (0, 2)})
    found_rules = {each.rule for each in check(history, found, lease=LEASE)}
    assert found_rules - {"the right state"} == rules


@pytest.mark.parametrize(
    ("parent", "faults", "children", "is_found"),
    [
        (run("e0", how=""), (killed(11),), 2, False),
        (run("e0", how=""), (killed(11),), 1, True),
        (run("e0", how=""), (), 2, True),
        (run("e0"), (killed(11),), 2, True),
    ],
)
def test_only_a_parent_that_a_fault_has_cut_off_may_have_children_it_never_heard_of(
    parent: Run, faults: tuple[Fault, ...], children: int, is_found: bool
):
    history = History(
        stories={
            "p": Story(job="p", kind="parent", accepted=9.0, runs=[parent]),
            "j": story(run(), kind="child", accepted=None),
            "k": Story(job="k", kind="child", runs=[run()]),
        },
        faults=list(faults),
        unsure=[Unsure(kind="child", jobs=children, parent="p")],
    )
    found = Found(jobs={"j": job(parent="p"), "k": job(parent="p")}, totals={"main": (2, 0)})
    rules = {each.rule for each in check(history, found, lease=LEASE)}
    assert ("nothing is made up" in rules) == is_found


@pytest.mark.parametrize("registries", [set(), {"failed"}, {"finished", "failed"}, {"wip"}])
def test_a_job_in_a_wrong_registry_or_in_two_is_found(registries: set[str]):
    there = job(registries=frozenset(registries))
    assert broken(story(run()), there) == {"one final state"}


def test_a_second_result_record_is_found():
    assert broken(story(run()), job("finished", 1, 1)) == {"one result record"}


def test_a_missing_result_record_is_found():
    there = replace(died(*THRICE), results=())
    assert broken(story(), there, *THREE_KILLS) == {"one result record"}


def test_a_failure_with_a_record_of_success_is_found():
    there = replace(died(*THRICE), results=job().results)
    assert broken(story(run()), there, *THREE_KILLS, killed(11)) == {"one result record"}


def test_a_result_of_a_canceled_job_is_found():
    there = job("canceled", 1)
    assert broken(story(run(), canceled=9.5), there) == {"one result record"}


def test_a_failure_that_nothing_explains_is_found():
    assert broken(story(run()), job("failed")) == {"the right state"}


@pytest.mark.parametrize(
    "faults",
    [
        (),
        THREE_KILLS[:2],
        (*THREE_KILLS[:2], killed(99, pids=(), replicas=("main-a-3",))),
        (*THREE_KILLS[:2], killed(11, pids=(), hosts=("b",))),
        (killed(11, pids=(), hosts=("a",)), THREE_KILLS[1]),
    ],
)
def test_a_failure_by_a_loss_that_no_fault_of_its_own_explains_is_found(
    faults: tuple[Fault, ...],
):
    assert broken(story(), died(*THRICE), *faults) == {"the right state"}


def test_a_failure_by_a_fault_of_another_host_is_found():
    told = story(run(how=""), kind="once")
    fault = killed(11, pids=(), hosts=("b",))
    assert broken(told, died(*ONCE), fault) == {"the right state"}
    assert broken(told, died(("main-b-9", 11.0)), fault) == {"the right state"}


def test_a_failure_by_losses_of_which_its_record_tells_nothing_is_found():
    there = job("failed", losses=3, deaths=())
    assert broken(story(), there, *THREE_KILLS) == {"the right state"}


def test_a_failure_before_all_losses_that_are_allowed_is_found():
    assert broken(story(), died(*THRICE[:2]), *THREE_KILLS) == {"the right state"}


def test_a_failure_before_all_tries_were_made_is_found():
    told = story(run(how="raised"), kind="failing")
    assert broken(told, job("failed")) == {"the right state"}


def test_a_success_before_all_tries_were_made_is_found():
    assert broken(story(run(), kind="flaky"), job()) == {"the right state"}


def test_a_success_of_what_can_only_fail_is_found():
    assert broken(story(run(), kind="poison"), job()) == {"the right state"}


def test_a_cancel_that_nobody_wanted_is_found():
    assert broken(story(), job("canceled")) == {"the right state"}


def test_a_cancel_without_effect_is_found():
    told = story(run(ended=45.0), kind="unwanted", canceled=12.0)
    assert broken(told, job()) == {"the right state"}


def test_a_success_without_a_run_is_found():
    assert broken(story(), job()) == {"finished means executed"}


@pytest.mark.parametrize("how", ["", "raised", "canceled"])
def test_a_success_of_a_run_that_did_not_return_is_found(how: str):
    assert broken(story(run(how=how)), job()) == {"finished means executed"}


def test_a_result_that_another_run_returned_is_found():
    result = FoundResult(kind=1, execution="e1", value="e0")
    there = FoundJob(
        environment="main", status="finished", results=(result,), registries=frozenset({"finished"})
    )
    assert broken(story(run()), there) == {"finished means executed"}


def test_a_second_run_of_what_may_run_once_is_found_whatever_happened():
    assert broken(story(*RERUN, kind="once"), job(by="e2"), killed(11)) == {"at most once"}


@pytest.mark.parametrize(
    "fault",
    [
        None,
        killed(9),
        killed(21),
        killed(11, pids=(2,)),
        killed(11, pids=(2,), healed=19, stopped=True),
        killed(11, pids=(), hosts=("b",)),
        killed(11, pids=()),
        silent(11, 12.5),
        silent(11, 17, "b"),
        cut(11, 17, "a"),
    ],
)
def test_a_second_run_that_no_fault_explains_is_found(fault: Fault | None):
    faults = () if fault is None else (fault,)
    assert broken(story(*RERUN), job(by="e2"), *faults) == {"again only after a fault"}


@pytest.mark.parametrize(
    "faults",
    [
        (killed(3600),),
        (killed(3600, pids=(), hosts=("a",)),),
        (killed(3600, healed=3610, stopped=True),),
        (silent(3600, 3610),),
        (killed(3600), silent(10.5, 12)),
        (killed(3600), silent(3500, 3601)),
        (killed(3600), cut(10.5, 3601, "b")),
    ],
)
def test_a_second_run_long_after_the_first_was_recorded_is_found(faults: tuple[Fault, ...]):
    told = story(run(at=10, ended=11.0), run("e2", at=3700))
    assert broken(told, job(by="e2"), *faults) == {"again only after a fault"}


@pytest.mark.parametrize(
    "fault", [killed(11), killed(11, healed=17, stopped=True), silent(11, 17), silent(11, 17, "a")]
)
def test_a_second_run_of_what_began_when_the_fault_was_over_is_found(fault: Fault):
    told = story(run(at=23, how=""), run("e2", at=30))
    assert broken(told, job(by="e2"), fault) == {"again only after a fault"}


def test_a_second_run_after_a_neighbour_that_kills_later_replicas_is_found():
    deadly = Story(job="k", kind="poison", runs=[run("e9", at=30, how="")])
    history = History(stories={"j": story(*RERUN), "k": deadly})
    found = Found(jobs={"j": job(by="e2")})
    assert [each.rule for each in check(history, found, lease=LEASE)] == [
        "again only after a fault"
    ]


def test_a_job_that_died_of_its_neighbour_is_found():
    deaths = [run(f"e{at}", how="", at=at, replica=name) for name, at in THRICE]
    deadly = Story(job="k", kind="poison", runs=deaths)
    found = Found(jobs={"j": died(*THRICE)}, totals={"main": (0, 1)})
    history = History(stories={"j": story(kind="beside"), "k": deadly})
    assert [each.rule for each in check(history, found, lease=LEASE)] == ["the right state"]


def test_what_may_run_only_once_dies_of_its_neighbour_too():
    deadly = Story(job="k", kind="poison", runs=[run("e9", at=11, how="")])
    found = Found(jobs={"j": died(*ONCE)}, totals={"main": (0, 1)})
    history = History(stories={"j": story(run(how=""), kind="once beside"), "k": deadly})
    assert check(history, found, lease=LEASE) == []


def test_a_job_that_ran_into_its_timeout_without_having_run_is_found():
    assert broken(story(kind="late"), job("failed")) == {"the right state"}


def test_one_try_too_many_is_found():
    runs = [run(f"e{n}", at=10 + n, how="raised") for n in range(3)]
    assert broken(story(*runs, kind="failing"), job("failed")) == {"again only after a fault"}


@pytest.mark.parametrize(
    ("kind", "runs"),
    [
        ("failing", [run(how="raised"), run("e2", at=12, how="raised")]),
        ("stuck", [run(how="")]),
        ("stubborn", [run(how="")]),
    ],
)
def test_a_failure_that_its_callback_was_not_called_for_is_found(kind: str, runs: list[Run]):
    silent_one = story(*runs, kind=kind, told=[])
    assert broken(silent_one, job("failed")) == {"who is to be told is told"}


def test_a_key_that_is_left_is_found():
    assert broken(None, None, strays=("rq:wip:main",)) == {"nothing is left"}


def test_an_entry_of_a_registry_without_a_job_is_found():
    assert broken(None, None, phantoms=("wip: j",)) == {"nothing is left"}


def test_a_standstill_after_the_last_fault_is_found():
    assert broken(story(run()), job(), calm_s=LEASE + 20) == set()
    assert broken(story(run()), job(), calm_s=LEASE + 31) == {"work goes on"}


@pytest.mark.parametrize("totals", [(2, 0), (0, 0), (1, 1)])
def test_counters_that_are_wrong_are_found(totals: tuple[int, int]):
    assert broken(story(run()), job(), totals={"main": totals}) == {"counters agree"}


# -- the ledger itself ---------------------------------------------------------------------------


def test_a_ledger_tells_the_history_that_was_written_into_it(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger")
    ledger.accepted("j", "unwanted")
    ledger.began("j", "e1", "unwanted", "main-a-123")
    ledger.canceled("j")
    ledger.ended("e1", "canceled")
    ledger.began("k", "e2", "child", "main-b-123")
    ledger.fault(name="SIGKILL", injected=1.0, healed=2.0, pids=(1, 2), hosts=("a",))
    ledger.unsure("burst", 7)
    ledger.told("j", "JobTimeout")
    ledger.close()
    history = told(read(tmp_path / "ledger"))
    told_of, unheard = history.stories["j"], history.stories["k"]
    assert told_of.kind == "unwanted"
    assert told_of.accepted is not None
    assert told_of.canceled is not None
    assert told_of.accepted < told_of.runs[0].began < told_of.canceled
    assert [(each.execution, each.how) for each in told_of.runs] == [("e1", "canceled")]
    assert (told_of.told, unheard.told) == (["JobTimeout"], [])
    assert (unheard.accepted, unheard.runs[0].how) == (None, "")
    assert history.faults == [
        Fault(name="SIGKILL", injected=1.0, healed=2.0, pids=(1, 2), hosts=("a",))
    ]
    assert history.unsure == [Unsure(kind="burst", jobs=7)]


def test_a_violation_says_what_happened_to_which_job():
    found = Found(jobs={"j": job("started")})
    [violation] = check(History(stories={"j": story(run())}), found, lease=LEASE)
    assert violation == Violation(rule="every job ends", text="quick job j: it is started")
