"""The sub-commands of the command line, a module each; cli.py registers them and imports them when they are asked for."""
