"""Programs that the benchmark runs on a pseudo-terminal: the console over made-up rows, and what it is compared with."""
