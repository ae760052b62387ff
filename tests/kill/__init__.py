"""Training runs that are killed, and computers that lose power: `python -m tests.kill`.

Every run is resumed afterwards and must end with the files of one that was never killed, bit for bit.
"""
