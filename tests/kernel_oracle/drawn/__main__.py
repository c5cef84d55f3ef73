"""`scripts/oracle`: draws cases, plays them on both sides, reports the first disagreement (or all, `--keep-going`)."""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait

from tests.kernel_oracle.drawn.draw import FLAVOURS
from tests.kernel_oracle.drawn.player import Player, Tally


def _work(pipe: Connection, seed: int, only: str, numbers: range, shrinking: bool) -> None:
    player = Player(seed, only, shrinking=shrinking)
    try:
        for number in numbers:
            pipe.send(player.run(number))
    except (KeyboardInterrupt, BrokenPipeError):  # the parent has heard enough
        pass
    finally:
        player.close()
        pipe.close()


@contextlib.contextmanager
def _workers(options: argparse.Namespace, numbers: range) -> Iterator[list[Connection]]:
    context = multiprocessing.get_context("fork")
    pipes, processes = [], []
    for job in range(options.jobs):
        ours, theirs = context.Pipe(duplex=False)
        arguments = (theirs, options.seed, options.only, numbers[job :: options.jobs], not options.no_shrink)
        process = context.Process(target=_work, args=arguments)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        yield pipes
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join()


def _results(options: argparse.Namespace, numbers: range) -> Iterator[Tally]:
    if options.jobs == 1:
        player = Player(options.seed, options.only, shrinking=not options.no_shrink)
        try:
            yield from (player.run(number) for number in numbers)
        finally:
            player.close()
        return
    with _workers(options, numbers) as pipes:
        open_pipes = list(pipes)
        while open_pipes:
            for pipe in wait(open_pipes):
                assert isinstance(pipe, Connection)
                try:
                    yield pipe.recv()
                except EOFError:
                    open_pipes.remove(pipe)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/oracle", description=__doc__)
    parser.add_argument("--cases", type=int, default=300, help="how many (300)")
    parser.add_argument("--seed", type=int, default=1, help="what they are drawn from (1)")
    parser.add_argument("--case", type=int, help="play only the case with this number")
    parser.add_argument("--first", type=int, default=0, help="begin with this number (0)")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes (1)")
    parser.add_argument("--only", choices=FLAVOURS, default="", help="draw one kind of case")
    parser.add_argument("--keep-going", action="store_true", help="go on after a disagreement")
    parser.add_argument("--no-shrink", action="store_true", help="report cases as they were drawn")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Return 1 if a case disagreed."""
    options = _parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # workers inherit it: whoever ends us, no namespace stays
        signal.signal(number, signal.default_int_handler)
    numbers = range(options.first, options.first + options.cases)
    if options.case is not None:
        numbers = range(options.case, options.case + 1)
    total = Tally()
    started = time.monotonic()
    shown = 0.0
    with contextlib.suppress(KeyboardInterrupt):
        for tally in _results(options, numbers):
            total.add(tally)
            for text in tally.reports:
                print(f"\r\033[K{text}\n", flush=True)
            shown = _progress(total, len(numbers), time.monotonic() - started, shown)
            if total.disagreements and not options.keep_going:
                break
    _summary(options, total, time.monotonic() - started)
    return 1 if total.disagreements else 0


def _progress(total: Tally, cases: int, elapsed: float, shown: float) -> float:
    """Tell how far it is: always on a terminal, else twice a minute. Returns when it last did, in seconds."""
    on_terminal = sys.stderr.isatty()
    if not on_terminal and elapsed - shown <= 30:
        return shown
    text = f"\r{total.cases}/{cases} cases, {total.cases / elapsed:.1f}/s, {total.disagreements} disagreements"
    print(text, end="" if on_terminal else "\n", file=sys.stderr, flush=True)
    return elapsed


def _summary(options: argparse.Namespace, total: Tally, elapsed: float) -> None:
    print(f"\nseed {options.seed}: {total.cases} cases, {total.frames['in']} steps with frames, "
          f"{total.frames['out']} frames came out, {elapsed:.0f} s ({total.cases / elapsed:.1f} cases/s)")  # fmt: skip
    print(
        f"disagreements: {total.disagreements}; refused by both: {total.refused}; agreed when repeated: {total.flaky}"
    )
    print("met: " + ", ".join(f"{name} {count}" for name, count in sorted(total.met.items())))


if __name__ == "__main__":
    sys.exit(main())
