"""What replicas have from their zygote, and what they have of their own."""

from typing import Any

import pytest

from support.eventually import eventually
from support.lab import ENV, TASKS, Lab
from support.lacking import needs_module

pytestmark = pytest.mark.timeout(60)


async def results(lab: Lab, task: str) -> list[Any]:
    """Return what a task answers in each of two replicas."""
    answers = []
    for _ in range(2):
        [name] = await lab.order()
        await lab.ready(name)
        answers.append(await lab.result(await lab.enqueue(task)))
        await lab.drain(name)
        await lab.gone(name)
    return answers


async def test_preload_runs_once_for_all_replicas(lab: Lab):
    lab.write(
        """
loaded = []

@env.preload
def load(): loaded.append(os.getpid())

@env.preload
async def load_too():
    await asyncio.sleep(0)
    loaded.append(os.getpid())

@env.task
async def by() -> list[int]: return loaded
"""
    )
    agent = lab.start()
    first, second = await results(lab, "by")
    assert first == second
    assert len(set(first)) == 1
    assert first[0] != agent.pid


@pytest.mark.parametrize("module", ["random", "numpy.random"])
async def test_replicas_draw_different_random_numbers(lab: Lab, module: str):
    needs_module(module)
    lab.write(f"import {module}\n@env.task\nasync def draw() -> float: return {module}.random()\n")
    lab.start()
    first, second = await results(lab, "draw")
    assert first != second


async def test_signal_handlers_of_the_application_are_the_zygotes_alone(lab: Lab):
    lab.write(
        "import signal\nsignal.signal(signal.SIGUSR1, lambda *_: None)\n"
        "@env.task\nasync def handled() -> bool:\n"
        "    return callable(signal.getsignal(signal.SIGUSR1))\n"
    )
    lab.start()
    assert await results(lab, "handled") == [False, False]


async def test_what_replicas_print_is_in_the_agents_output_at_once(lab: Lab):
    lab.write("@env.task\nasync def speak() -> None: print('a word')\n")
    lab.start()
    [name] = await lab.order()
    await lab.ready(name)
    await lab.enqueue("speak")
    await eventually(lambda: "a word" in lab.log())


async def test_threads_that_an_import_leaves_running_are_warned_of(lab: Lab):
    lab.write(
        TASKS
        + "threading.Thread(target=threading.Event().wait, daemon=True, name='poller').start()\n"
    )
    lab.start()
    await eventually(lambda: "import left threads running" in lab.log())
    assert "poller" in lab.log()
    assert 'start_method="spawn"' in lab.log()


async def test_a_failing_preload_hook_is_reported_under_the_environments_name(lab: Lab):
    lab.write("@env.preload\ndef load(): raise LookupError('no such file')\n" + TASKS)
    lab.start()

    async def reported() -> str:
        host = await lab.host()
        return host.broken.get(ENV, "") if host else ""

    text = await eventually(reported)
    assert "in load" in text
    assert text.endswith("the preload hook load of trial failed: LookupError: no such file")


async def test_an_import_that_ends_the_process_is_a_failure_like_any_other(lab: Lab):
    lab.write("sys.exit('no licence')\n")
    agent = lab.start("--strict")
    await eventually(lambda: agent.poll() == 2)
    assert "SystemExit: no licence" in lab.log()


async def test_an_import_that_crashes_the_process_says_how(lab: Lab):
    lab.write("import signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    agent = lab.start("--strict")
    await eventually(lambda: agent.poll() == 2)
    assert "its process ended before trial_app:env was loaded: killed by SIGSEGV" in lab.log()
