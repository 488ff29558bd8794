"""The terminal driver: Textual's, made to survive bad input, signals, stalled output and a lost terminal.

Written against textual 8.2.8, private parts included (LinuxDriver.run_input_thread, WriterThread, XTermParser).
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import termios
import threading
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from queue import Empty, Full
from types import FrameType
from typing import IO, Any, Protocol

from textual import events
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers import linux_driver
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message
from textual.messages import InBandWindowResize

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT)
TYPED = (signal.SIGINT, signal.SIGQUIT)
"""Those that keys send to all who read from the terminal."""
LOST = 128 + signal.SIGHUP
DEADLINE = 3.0
"""Seconds between the wish to end and the end by force."""
PENDING = 200
"""Keys and mouse events that wait for the screen; more are dropped."""
AWAKE = 1.0
"""So long after the last key the input is looked after ten times a second: an escape that stays alone is told by time."""
RESTS = 1.0
"""Seconds between looks while no key comes and the terminal takes all bytes."""
LARGEST = (2000, 1000)
"""Columns and lines beyond which a reported terminal size is nonsense."""
RESET = (
    b"".join(b"\x1b[?%dl" % mode for mode in (2026, 2004, 2048, 1000, 1003, 1015, 1006, 1016, 1004))
    + b"\x1b[<u\x1b[?7h\x1b[0m\x1b[?1049l\x1b[?25h"
)
"""Everything Textual switches on, switched off."""


class Writer(WriterThread):
    """Writes in its own thread; what does not fit while the terminal takes nothing is dropped, never waited for."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(file)
        self.lost: Callable[[], None] = lambda: None
        self.caught_up: Callable[[], None] = lambda: None
        self._dropping = False
        self._dead = False

    def write(self, text: str) -> None:
        if self._dead:
            return
        if self._dropping:
            if self._queue.qsize():
                return
            self._dropping = False
            self.caught_up()
        try:
            self._queue.put(text, timeout=0.1)
        except Full:
            self._dropping = True

    @property
    def stalled(self) -> bool:
        """Output is being dropped, or can no longer be written."""
        return self._dropping or self._dead

    def poll(self) -> None:
        """Notice that the terminal reads again although nothing new is written."""
        if self._dropping and not self._queue.qsize():
            self._dropping = False
            self.caught_up()

    def run(self) -> None:
        # Not through the file object: a write that hangs would hold its lock, and Python's own end waits for that.
        descriptor = self._file.fileno()
        try:
            while (text := self._queue.get()) is not None:
                data = memoryview(text.encode("utf-8", "backslashreplace"))
                while data:
                    data = data[os.write(descriptor, data) :]
        except (OSError, ValueError):
            self._dead = True
            self.lost()

    def stop(self) -> None:
        if self.stalled:
            with contextlib.suppress(Empty):
                while True:
                    self._queue.get_nowait()
        with contextlib.suppress(Full):
            self._queue.put(None, timeout=0.2)
        # A daemon thread: one that hangs in a write does not keep the program.
        self.join(0.2 if self.stalled else 1.0)


class Endable(Protocol):
    """What the driver asks of the app."""

    def end(self, code: int) -> None:
        """Exit with this code."""

    def repaint_all(self) -> None:
        """Paint the whole screen again: parts of it were never written."""

    def input_dropped(self, count: int) -> None:
        """So many keys were dropped since the last call."""


class HardDriver(LinuxDriver):
    """A driver after which the terminal is always as it was before."""

    def __init__(self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._handlers: dict[int, Any] = {}
        self._wakeup: tuple[int, int] | None = None
        self._previous_wakeup = -1
        self._deadline: threading.Timer | None = None
        self._dropped = 0
        self._input_ends: tuple[int, int] | None = None
        self._lent = False
        """Another program has the terminal: what is typed there to interrupt it is not meant for us."""

    # --- ending ----------------------------------------------------------------------------------------------

    def end(self, code: int) -> None:
        """Ask the app to exit with `code` and see to it that the process does; from any thread."""
        self.arm(code)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._app.end, code)  # type: ignore[attr-defined]  # an Endable

    def arm(self, code: int) -> None:
        """Unless disarmed, restore the terminal and end the process after the deadline."""
        if self._deadline is None:
            self._deadline = threading.Timer(DEADLINE, self._force, (code,))
            self._deadline.daemon = True
            self._deadline.start()

    def disarm(self) -> None:
        """The app ended by itself."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _force(self, code: int) -> None:
        self.restore_terminal()
        os._exit(code)

    def restore_terminal(self) -> None:
        """Put the terminal back without the help of any other thread; gives up on one that takes no bytes."""
        if self.attrs_before is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
        with contextlib.suppress(OSError, ValueError, termios.error):
            descriptor = self._file.fileno() if self._file is not None else -1
            if os.isatty(descriptor) and not select.select([], [descriptor], [], 0.2)[1]:
                termios.tcflush(descriptor, termios.TCOFLUSH)
            # Not for longer than this one write: the shell shares the open terminal.
            os.set_blocking(descriptor, False)
            try:
                os.write(descriptor, RESET)
            finally:
                os.set_blocking(descriptor, True)

    # --- signals ---------------------------------------------------------------------------------------------

    def _watch_signals(self) -> None:
        """Signals come through a pipe to a thread of their own, so that a stuck event loop does not stop them."""
        if self._wakeup is not None or threading.current_thread() is not threading.main_thread():
            return
        self._wakeup = os.pipe()
        for descriptor in self._wakeup:
            os.set_blocking(descriptor, descriptor == self._wakeup[0])
        for number in SIGNALS:
            self._handlers[number] = signal.signal(number, _noted)
        self._previous_wakeup = signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        threading.Thread(target=self._wait_for_signals, args=(self._wakeup[0],), name="qostui-signals", daemon=True).start()

    def _wait_for_signals(self, descriptor: int) -> None:
        while numbers := os.read(descriptor, 64):
            for number in numbers:
                if number in SIGNALS and not (self._lent and number in TYPED):
                    self.end(128 + number)
        os.close(descriptor)

    def _unwatch_signals(self) -> None:
        if self._wakeup is None:
            return
        signal.set_wakeup_fd(self._previous_wakeup)
        for number, handler in self._handlers.items():
            if handler is not None:
                signal.signal(number, handler)
        os.close(self._wakeup[1])
        self._wakeup = None

    # --- starting and stopping -------------------------------------------------------------------------------

    def start_application_mode(self) -> None:
        self._watch_signals()
        # Textual names the writer's class only there.
        original = vars(linux_driver)["WriterThread"]
        setattr(linux_driver, "WriterThread", Writer)  # noqa: B010  # the module does not export the name to type checkers
        try:
            super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual leaves it without types
        finally:
            setattr(linux_driver, "WriterThread", original)  # noqa: B010  # as above
        if isinstance(self._writer_thread, Writer):
            self._writer_thread.lost = lambda: self.end(LOST)
            self._writer_thread.caught_up = self._caught_up

    def suspend_application_mode(self) -> None:
        # Textual would close the driver, and with it give back the signals: a key that interrupts the other program ended us.
        self._lent = True
        self.stop_application_mode()
        super().close()

    def resume_application_mode(self) -> None:
        super().resume_application_mode()
        self._lent = False

    def _caught_up(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._app.repaint_all)  # type: ignore[attr-defined]  # an Endable

    def stop_application_mode(self) -> None:
        stalled = isinstance(self._writer_thread, Writer) and self._writer_thread.stalled
        super().stop_application_mode()
        if stalled and isinstance(self._writer_thread, Writer):
            self.restore_terminal()

    def close(self) -> None:
        super().close()
        self._unwatch_signals()

    # --- input -----------------------------------------------------------------------------------------------

    def disable_input(self) -> None:
        # The input thread may be at rest in a long select.
        if self._input_ends is not None and self._key_thread is not None:
            os.write(self._input_ends[1], b"!")
        super().disable_input()

    def run_input_thread(self) -> None:
        self._input_ends = ends = os.pipe()
        try:
            self._read_input(ends[0])
        finally:
            self._input_ends = None
            for end in ends:
                os.close(end)

    def _read_input(self, ended: int) -> None:
        selector = selectors.SelectSelector()
        selector.register(self.fileno, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        decode = getincrementaldecoder("utf-8")("replace").decode
        parser = XTermParser(self._debug)
        said = read = time.monotonic()
        try:
            while not self.exit_event.is_set():
                writer = self._writer_thread
                busy = self._dropped or (isinstance(writer, Writer) and writer.stalled) or time.monotonic() - read < AWAKE
                ready = [key.fd for key, _ in selector.select(0.1 if busy else RESTS)]
                if isinstance(writer, Writer):
                    writer.poll()
                if self.fileno in ready:
                    read = time.monotonic()
                    try:
                        data = os.read(self.fileno, 4096)
                    except OSError:
                        data = b""
                    if not data:
                        self.end(LOST)
                        return
                    parser = self._feed(parser, decode(data))
                parser = self._feed(parser, None)
                if self._dropped and time.monotonic() - said > 1.0:
                    said, dropped, self._dropped = time.monotonic(), self._dropped, 0
                    with contextlib.suppress(RuntimeError):
                        self._loop.call_soon_threadsafe(self._app.input_dropped, dropped)  # type: ignore[attr-defined]  # an Endable
        finally:
            selector.close()

    def _feed(self, parser: XTermParser, text: str | None) -> XTermParser:
        """Parse; input that the parser cannot stand costs the parser, not the program."""
        try:
            for event in parser.tick() if text is None else parser.feed(text):
                self.process_message(event)
        except Exception:
            return XTermParser(self._debug)
        return parser

    def process_message(self, message: Message) -> None:
        if isinstance(message, (events.Key, events.MouseEvent)) and self._pending() > PENDING:
            self._dropped += 1
            return
        if isinstance(message, events.Resize) and not _sensible(message):
            return
        if isinstance(message, InBandWindowResize) and message.supported:
            # Sizes come with SIGWINCH; reports in the input could be forged by whatever is pasted.
            return
        super().process_message(message)

    def _pending(self) -> int:
        app = self._app
        try:
            waiting = app.message_queue_size
            screen = app.screen
            waiting += screen.message_queue_size
            if screen.focused is not None:
                waiting += screen.focused.message_queue_size
        except Exception:
            return 0
        return waiting


def _noted(number: int, frame: FrameType | None) -> None:
    """The thread that reads the wake-up pipe acts; this handler only keeps the default from happening."""


def _sensible(event: events.Resize) -> bool:
    return 0 <= event.size.width <= LARGEST[0] and 0 <= event.size.height <= LARGEST[1]
