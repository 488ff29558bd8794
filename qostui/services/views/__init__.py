"""The views: what a pane and its headless twin know of one kind of row, as data."""
