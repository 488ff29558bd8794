"""Widgets that paint lines and nothing else: their lines reach the compositor without the detour over styles.

Textual 8.2.8 looks up some forty style rules for each line that is painted (`_styles_cache.StylesCache.render_line`), for
borders, padding and titles which these widgets do not have: half of the time that a page of a table took.
"""

from __future__ import annotations

from textual.filter import ANSIToTruecolor
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class DirectLines(Widget):
    """A base for widgets whose `render_line` gives strips of exactly the widget's width, and that have no border and no padding."""

    @property
    def true_colours(self) -> bool:
        """No line has colours of the terminal's own, or is dimmed: then nothing is to be turned into colours."""
        return False

    def begin_lines(self) -> None:
        """Called before the lines of one update are asked for: the place to work out what they have in common."""

    def render_lines(self, crop: Region) -> list[Strip]:
        # Which lines are still good is Textual's own knowledge: `refresh` tells its cache.
        cache = self._styles_cache
        if cache._width != self.size.width:
            cache.clear()
            cache._width = self.size.width
        wanted = [y for y in crop.line_range if cache.is_dirty(y) or y not in cache._cache]
        if wanted:
            self.begin_lines()
            for y in wanted:
                cache._cache[y] = self.render_line(y)
            cache._dirty_lines.difference_update(wanted)
        strips = [cache._cache[y] for y in crop.line_range]
        filters = self.app.get_line_filters()
        if self.true_colours:
            filters = [each for each in filters if not isinstance(each, ANSIToTruecolor)]
        if filters:
            background = self.background_colors[1]
            for filter_ in filters:
                strips = [strip.apply_filter(filter_, background) for strip in strips]
        start, end = crop.column_span
        return strips if (start, end) == (0, self.size.width) else [strip.crop(start, end) for strip in strips]
