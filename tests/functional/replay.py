"""A terminal made of a grid: what a stream of bytes makes it show, and by which writes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rich.cells import cell_len

TOKEN = re.compile(
    r"\x1b\[(?P<parameters>[?<>=\d;:]*)(?P<intermediate>[ $]?)(?P<final>[@-~])"
    r"|\x1b[\]P][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\r\n]|(?P<text>[^\x1b\r\n]+)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Cell:
    """One cell: its character, and the parameters of SGR that hold, by what they set."""

    text: str = " "
    attributes: frozenset[str] = frozenset()
    ink: str = ""
    ground: str = ""

    @property
    def seen(self) -> tuple[object, ...]:
        """What tells it from others for the eye: a blank has no ink."""
        blank = self.text == " " and not self.attributes & {"4", "7", "9"}
        return (" ", self.ground) if blank else (self.text, self.attributes, self.ink, self.ground)


class Grid:
    """Shows what is fed to it."""

    def __init__(self, columns: int, lines: int) -> None:
        self.cells = [[Cell() for _ in range(columns)] for _ in range(lines)]
        self.erased: list[str] = []
        """Sequences that erase (CSI J, K, X, P, @, L, M, S, T)."""
        self.written: dict[tuple[int, int], list[str]] = {}
        """(column, line) -> what was written there, in order, since `forget`."""
        self._pen = Cell()
        self._x = self._y = 0

    def forget(self) -> None:
        """Start to note anew."""
        self.erased.clear()
        self.written.clear()

    @property
    def lines(self) -> list[str]:
        return ["".join(cell.text for cell in line) for line in self.cells]

    def feed(self, data: str) -> None:
        """Take in whole sequences."""
        for token in TOKEN.finditer(data):
            if (text := token["text"]) is not None:
                self._print(text)
            elif token["final"] in ("H", "f") and not token["intermediate"]:
                line, _, column = token["parameters"].partition(";")
                self._x, self._y = int(column or 1) - 1, int(line or 1) - 1
            elif token["final"] == "C":
                self._x += int(token["parameters"] or 1)
            elif token["final"] == "m" and token["parameters"][:1] not in ("<", ">", "?"):
                self._style(token["parameters"])
            elif token["final"] in tuple("JKXP@LMST") and token["parameters"][:1] != "?":
                self.erased.append(token[0])

    def _print(self, text: str) -> None:
        pen = self._pen
        for character in text:
            width = cell_len(character)
            if width == 0:
                cell = self.cells[self._y][max(0, self._x - 1)]
                self.cells[self._y][max(0, self._x - 1)] = Cell(cell.text + character, cell.attributes, cell.ink, cell.ground)
                continue
            for part, content in enumerate([character, ""][:width]):
                if self._y < len(self.cells) and self._x + part < len(self.cells[0]):
                    self.cells[self._y][self._x + part] = Cell(content, pen.attributes, pen.ink, pen.ground)
                    self.written.setdefault((self._x + part, self._y), []).append(content)
            self._x += width

    def _style(self, parameters: str) -> None:
        codes = (parameters or "0").split(";")
        attributes, ink, ground = set(self._pen.attributes), self._pen.ink, self._pen.ground
        while codes:
            code = codes.pop(0)
            number = int(code or 0)
            if number == 0:
                attributes, ink, ground = set(), "", ""
            elif number in (38, 48):
                rest = [codes.pop(0) for _ in range(4 if codes[0] == "2" else 2)]
                ink, ground = (";".join([code, *rest]), ground) if number == 38 else (ink, ";".join([code, *rest]))
            elif 30 <= number <= 39 or 90 <= number <= 97:
                ink = "" if number == 39 else code
            elif 40 <= number <= 49 or 100 <= number <= 107:
                ground = "" if number == 49 else code
            else:
                attributes.add(code)
        self._pen = Cell(" ", frozenset(attributes), ink, ground)
