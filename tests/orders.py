"""Threads of threads.py whose every order of steps is tried, by a scheduler instead of the system.

The source of threads.py is made generators that stop before each statement, or in compiled code before each
access to a shared word. A queue has no timeouts: whoever waits there goes on when there is something.
"""

import ast
import inspect

import numpy as np

from fastmlp.kernels.core import threads

COMPILED = {"barrier", "_wait_politely"}
FUNCTIONS = COMPILED | {"_run", "parallel", "parallel_epoch"}
METHODS = {"run", "spawn", "_call_off", "wait", "cancel", "start", "_lend", "_hand_out", "_work"}
# calls of what stops, by name and by attribute
STOPPING = FUNCTIONS | {"start", "read_shared", "write_shared", "_add_shared", "_await_change", "work"}
STOPPING_ATTRIBUTES = METHODS - {"_work"} | {"body", "get"}


class Stepping(ast.NodeTransformer):
    """Have a function stop before each statement, and wherever what it calls stops."""

    def visit_Call(self, node):
        self.generic_visit(node)
        by_name = isinstance(node.func, ast.Name) and node.func.id in STOPPING
        by_attribute = isinstance(node.func, ast.Attribute) and node.func.attr in STOPPING_ATTRIBUTES
        return ast.YieldFrom(node) if by_name or by_attribute else node

    def __init__(self, by_statements):
        self.by_statements = by_statements

    def generic_visit(self, node):
        super().generic_visit(node)
        if not self.by_statements:
            return node
        for field in ("body", "orelse", "finalbody"):
            if isinstance(statements := getattr(node, field, None), list):
                stop = [ast.Expr(ast.Yield())]
                setattr(node, field, [part for statement in statements for part in (*stop, statement)])
        return node


def stepping(node):
    """A function of threads.py as a generator; one of compiled code stops at shared words alone."""
    node.decorator_list = []
    return Stepping(node.name not in COMPILED).visit(node)


def stepping_source(text):
    """The code of threads.py that the threads run."""
    found = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS:
            found.append(stepping(node))
        elif isinstance(node, ast.ClassDef):
            node.body = [
                stepping(each) if getattr(each, "name", "") in METHODS else each for each in node.body
            ]
            found.append(node)
    return compile(ast.fix_missing_locations(ast.Module(found, [])), threads.__file__, "exec")


SOURCE = stepping_source(inspect.getsource(threads))


class Queue:
    """A queue that is waited at for ever, which a scheduler sees."""

    def __init__(self):
        self.items = []

    def put(self, item):
        self.items.append(item)

    def empty(self):
        return not self.items

    def get(self, timeout=None):
        while not self.items:
            yield self  # not to go on before there is something
        return self.items.pop(0)


class Scenario:
    """Callers to begin with, and what has to hold after every step and in the end."""

    interrupts = 0

    def always(self, world):
        pass


class World:
    """Threads at some point of their work, each a generator."""

    def __init__(self, scenario, source):
        self.running, self.shared, self.ended = {}, {}, {}
        names = self.names = {
            **vars(threads),
            "SPINS": 0,
            "cycles": int,
            "_yield_processor": int,
            "_pause": int,
        }
        names["queue"] = type("queue", (), {"SimpleQueue": Queue, "Empty": threads.queue.Empty})
        names["start_new_thread"] = lambda run, args: self.begin(run(*args))
        names["threading"] = type("threading", (), {"Thread": self.thread})
        names["address"] = lambda words, i, j: (words, i)
        names |= {"read_shared": read, "write_shared": write, "_add_shared": add, "_await_change": look}
        names["_running"] = set()
        names["_new_sync"] = lambda: np.zeros(32, np.int64)
        exec(source, names)
        names["_parked"] = names["_Parked"]()
        self.may_interrupt = scenario.interrupts
        self.shared = names["_parked"]
        self.seen = []  # what the scenario wants to know
        for caller in scenario.callers(self):
            self.begin(caller)

    def begin(self, generator):
        self.running[len(self.running) + len(self.ended)] = generator

    def thread(self, target, args, **options):
        def start():
            self.begin(target(*args))
            return
            yield

        return type("Thread", (), {"start": staticmethod(start)})

    def choices(self):
        """Who may take the next step: a thread, or Ctrl-C in the first one unless it is in compiled code."""
        able = [(number, False) for number, thread in self.running.items() if not waits_for(thread)]
        if self.may_interrupt and 0 in self.running:
            if not {frame.f_code.co_name for frame in frames(self.running[0])} & {*COMPILED, "work"}:
                able.append((0, True))
        return able

    def step(self, choice):
        number, interrupts = choice
        thread = self.running[number]
        try:
            if interrupts:
                self.may_interrupt -= 1
                thread.throw(KeyboardInterrupt)
            else:
                next(thread)
        except StopIteration as end:
            self.end(number, end.value)
        except BaseException as error:
            self.end(number, type(error).__name__)

    def end(self, number, outcome):
        del self.running[number]
        self.ended[number] = outcome

    @property
    def is_over(self):
        """Whether nothing but parked threads is left, and these wait."""
        return all(
            waits_for(thread) and frames(thread)[0].f_code.co_name == "_work"
            for thread in self.running.values()
        )

    def key(self):
        """All that what comes depends on."""
        memo, parts = {}, []
        for number, thread in sorted(self.running.items()):
            for frame in frames(thread):
                parts.append((number, frame.f_lasti, freeze(dict(frame.f_locals), memo)))
        return (
            tuple(parts),
            freeze(self.shared, memo),
            freeze(self.seen, memo),
            freeze(self.ended, memo),
            self.may_interrupt,
        )


def frames(generator):
    found = []
    while generator is not None and (frame := getattr(generator, "gi_frame", None)) is not None:
        found.append(frame)
        generator = generator.gi_yieldfrom
    return found


def waits_for(generator):
    """Whether a thread waits at a queue that is empty."""
    last = frames(generator)[-1]
    return last.f_code.co_name == "get" and last.f_lasti > 0 and not last.f_locals["self"].items


def freeze(value, memo):
    """A value that compares equal where nothing can tell two worlds apart."""
    if value is None or isinstance(value, int | str | float | np.integer):
        return value
    if isinstance(value, BaseException) or callable(value) or inspect.isgenerator(value):
        return type(value).__name__, getattr(value, "__name__", "")
    if id(value) in memo:
        return "again", memo[id(value)][0]
    memo[id(value)] = len(memo), value  # kept, so that no other has its id
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, dict):
        return tuple((freeze(key, memo), freeze(item, memo)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(freeze(item, memo) for item in value)
    if isinstance(value, set):
        return len(value)
    if isinstance(value, World | Scenario):  # always the same
        return None
    return type(value).__name__, freeze(vars(value), memo) if hasattr(value, "__dict__") else ""


def read(place):
    words, index = place
    yield
    return int(words[index])


def write(place, value):
    words, index = place
    yield
    words[index] = value


def add(place):
    words, index = place
    yield
    words[index] += 1
    return int(words[index]) - 1


def look(words, index, before):
    yield


def explore(scenario, source=SOURCE):
    """Visit every state; the number of them."""
    world, path = World(scenario, source), []
    root = world.key()
    following, ends, waiting = {}, set(), [(root, [], world)]
    following[root] = []
    while waiting:
        state, path, world = waiting.pop()
        choices = world.choices()
        if world.is_over:
            scenario.check(world)
            ends.add(state)
        for choice in choices:
            if world is None:
                world = World(scenario, source)
                for earlier in path:
                    world.step(earlier)
            world.step(choice)
            scenario.always(world)
            new = world.key()
            following[state].append(new)
            if new not in following:
                following[new] = []
                waiting.append((new, [*path, choice], world))
            world = None
    before = {state: [] for state in following}
    for state, others in following.items():
        for other in others:
            before[other].append(state)
    reached, waiting = set(ends), [*ends]
    while waiting:
        for state in before[waiting.pop()]:
            if state not in reached:
                reached.add(state)
                waiting.append(state)
    stuck = next((state for state in following if state not in reached), None)
    assert stuck is None, f"no end is within reach of {stuck}"
    return len(following)
