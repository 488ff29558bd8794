"""The driver on a real pseudo-terminal: signals, lost terminals, stalled output and input that kills others."""

from __future__ import annotations

import random
import signal
import sys
import time

import pytest

from .terminals import Terminal

CONSOLE = [sys.executable, "-m", "tests.functional.fakes"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131), (signal.SIGINT, 130)],
    ids=lambda value: str(value),
)
def test_signals_end_it_with_the_terminal_restored(number: int, code: int) -> None:
    with Terminal(CONSOLE) as terminal:
        terminal.wait_for("live")
        terminal.signal(number)
        assert terminal.exit_code(3) == code
        assert terminal.restored


def test_quitting_restores_the_terminal() -> None:
    with Terminal(CONSOLE) as terminal:
        terminal.wait_for("live")
        terminal.send(b"q")
        assert terminal.exit_code(3) == 0
        assert terminal.restored


def test_the_terminal_is_lent_to_a_program_and_taken_back() -> None:
    with Terminal([*CONSOLE, "lend"]) as terminal:
        terminal.wait_for("live")
        terminal.send(b"4")
        terminal.wait_for("PROVEN")
        terminal.send(b"jja")
        terminal.wait_for("voms-proxy-init")
        terminal.send(b"v")
        terminal.wait_for("leaves this screen")
        terminal.send(b"\r")
        terminal.wait_for("who are you")
        assert terminal.restored, "the program finds the terminal as it was before the console"
        terminal.send(b"alice\n")
        terminal.wait_for("hello alice")
        terminal.send(b"\x03")
        terminal.wait_for("voms-proxy-init ended with -2")
        assert terminal.process.poll() is None, "what interrupts the program does not end the console"
        terminal.send(b"\x1b")
        terminal.read(1.0)
        terminal.send(b"q")
        assert terminal.exit_code(5) == 0
        assert terminal.restored


@pytest.mark.parametrize(
    "typed",
    [b"\xff", b"\xe9\xff\xfe", b"\x1b[99999999u", b"\x1b[48;99999;99999;1;1t", b"\x1b[" + b"9" * 5000 + b"m", b"\x00" * 100, b"\x1b" * 500],
    ids=["ff", "latin-1", "kitty", "resize", "digits", "nul", "escapes"],
)
def test_bytes_that_make_no_sense_do_not_kill(typed: bytes) -> None:
    with Terminal(CONSOLE) as terminal:
        terminal.wait_for("live")
        terminal.send(typed)
        terminal.read(1.0)
        assert terminal.process.poll() is None
        # Whatever dialog the bytes may have opened is left first.
        terminal.send(b"\x1b")
        for _ in range(20):
            # An escape still pending would make one key with it, so it is typed until it is taken.
            terminal.read(0.5)
            if terminal.process.poll() is not None:
                break
            terminal.send(b"\x11")
        assert terminal.exit_code(5) == 0
        assert terminal.restored


@pytest.mark.parametrize("ignored", [False, True], ids=["usual", "nohup"])
def test_a_lost_terminal_ends_it(ignored: bool) -> None:
    with Terminal(CONSOLE, ignore_hangup=ignored) as terminal:
        terminal.wait_for("live")
        terminal.hang_up()
        assert terminal.exit_code(4, reading=False) == 129


def test_a_terminal_that_takes_nothing_does_not_stop_the_program() -> None:
    with Terminal([*CONSOLE, "live"]) as terminal:
        terminal.wait_for("live")
        for _ in range(40):
            terminal.send(b"12" * 5)
            time.sleep(0.05)
        terminal.signal(signal.SIGTERM)
        assert terminal.exit_code(5, reading=False) == 143
        assert terminal.attributes == terminal.before


def test_after_a_stall_the_screen_is_whole_again() -> None:
    with Terminal([*CONSOLE, "live"]) as terminal:
        terminal.wait_for("live")
        for _ in range(60):
            terminal.send(b"1234")
            time.sleep(0.05)
        terminal.read(2.0)
        terminal.output.clear()
        terminal.send(b"2")
        terminal.wait_for("PROGRESS")
        terminal.send(b"q")
        assert terminal.exit_code(5) == 0
        assert terminal.restored


def test_a_flood_of_keys_leaves_it_able_to_end() -> None:
    chance = random.Random(1)  # noqa: S311  # a flood, not a secret
    flood = bytes(chance.choice(b"jkgGsrcd1234 \t") for _ in range(64_000))
    with Terminal(CONSOLE) as terminal:
        terminal.wait_for("live")
        for start in range(0, len(flood), 1000):
            terminal.send(flood[start : start + 1000])
            terminal.read(0.001)
        terminal.signal(signal.SIGTERM)
        assert terminal.exit_code(5) == 143
        assert terminal.restored
