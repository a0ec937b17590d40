"""The application: jobs that do what a node of a call graph says, and note it outside Redis."""

from support.call_graphs import FAILED

KINDS = ("wide", "narrow", "here")
"""Coroutines in an environment of many slots, in one of one slot, and plain functions in that."""
HOWS = ("each", "gather", "together", "map")

TASKS = f"""
from reuse_queue import TaskFailed, agather, gather

FAILED = {FAILED}
plain = TaskEnvironment("plain", reusable=ReusePolicy(replicas=policy.replicas, concurrency=1))

def note(*words: object) -> None:
    # One write at the end of the file: the lines of all processes are in one order.
    with (FOLDER / "ledger").open("a") as ledger:
        ledger.write(" ".join(map(str, words)) + "\\n")

def begun(path: str) -> None:
    note("begin", path, current_job().id, os.getpid())

def ended(path: str, node: dict, values: list[int]) -> int:
    note("end", path, current_job().id, os.getpid())
    if node["fails"]:
        raise ValueError(path)
    return 1 + sum(values)

def calls(path: str, node: dict) -> list:
    found = [(f"{{path}}.{{at}}", each) for at, each in enumerate(node["children"])]
    return [(name, BY_NAME[each["task"]], each) for name, each in found]

def left(path: str, node: dict) -> list:
    found = [(f"{{path}}.left{{at}}", each) for at, each in enumerate(node["left"])]
    return [(BY_NAME[each["task"]], name, each) for name, each in found]

def worth(path: str, value: object) -> int:
    note("heard", path)
    return FAILED if isinstance(value, TaskFailed) else value

async def result(path: str, handle: object) -> int:
    try:
        return worth(path, await handle)
    except TaskFailed as error:
        return worth(path, error)

def result_here(path: str, handle: object) -> int:
    try:
        return worth(path, handle.result())
    except TaskFailed as error:
        return worth(path, error)

async def mapped(kind: object, found: list) -> list[int]:
    inputs = [kind.call(path, each) for path, task, each in found if task is kind]
    values = await kind.amap(inputs, max_in_flight=2, return_exceptions=True)
    return [worth(one.args[0], value) for one, value in zip(inputs, values, strict=True)]

def mapped_here(kind: object, found: list) -> list[int]:
    inputs = [kind.call(path, each) for path, task, each in found if task is kind]
    values = kind.map(inputs, max_in_flight=2, return_exceptions=True)
    return [worth(one.args[0], value) for one, value in zip(inputs, values, strict=True)]

async def do(path: str, node: dict) -> int:
    begun(path)
    found = calls(path, node)
    for task, *given in left(path, node):
        await task.aenqueue(*given)
    if node["how"] == "each":
        values = [await result(name, await task.aenqueue(name, each)) for name, task, each in found]
    elif node["how"] == "map":
        values = [value for kind in BY_NAME.values() for value in await mapped(kind, found)]
    else:
        handles = [await task.aenqueue(name, each) for name, task, each in found]
        if node["how"] == "gather":
            names = [name for name, *_ in found]
            values = await asyncio.gather(*map(result, names, handles))
        else:
            values = await agather(*handles, return_exceptions=True)
            values = [worth(name, value) for (name, *_), value in zip(found, values, strict=True)]
    return ended(path, node, values)

@env.task
async def wide(path: str, node: dict) -> int:
    return await do(path, node)

@plain.task
async def narrow(path: str, node: dict) -> int:
    return await do(path, node)

@plain.task
def here(path: str, node: dict) -> int:
    begun(path)
    found = calls(path, node)
    for task, *given in left(path, node):
        task.enqueue(*given)
    if node["how"] == "each":
        values = [result_here(name, task.enqueue(name, each)) for name, task, each in found]
    elif node["how"] == "map":
        values = [value for kind in BY_NAME.values() for value in mapped_here(kind, found)]
    else:
        handles = [task.enqueue(name, each) for name, task, each in found]
        if node["how"] == "gather":
            values = [result_here(name, each) for (name, *_), each in zip(found, handles)]
        else:
            values = gather(*handles, return_exceptions=True)
            values = [worth(name, value) for (name, *_), value in zip(found, values, strict=True)]
    return ended(path, node, values)

BY_NAME = {{"wide": wide, "narrow": narrow, "here": here}}
"""
