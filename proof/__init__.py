"""The proof: voters write down what they were told, parts are killed meanwhile, and then every vote is looked for.

Shared by the drill (`python -m proof`), the load test and the benchmark.
"""


class ProofError(Exception):
    """Says what is wrong and what to do about it."""
