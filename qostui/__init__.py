"""The operator's console for a Rucio data lake described by Quality of Service."""

__version__ = "0.3.0"
