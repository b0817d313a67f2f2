"""A Hugging Face Hub on loopback, for tests: the unmodified `huggingface_hub` and `hf_xet` clients work against it.

Tests ask for the fixture `hub` (fixtures.py, there for every test of the project); its methods put files, make tokens,
order faults and read the log.
"""

from .faults import Fault, Rule, cut, drop, expired_token, expired_url, limited, lost, slow, status
from .hub import Hub
from .log import Log, Seen
from .repos import Blob, Commit, Repo

__all__ = [
    "Blob",
    "Commit",
    "Fault",
    "Hub",
    "Log",
    "Repo",
    "Rule",
    "Seen",
    "cut",
    "drop",
    "expired_token",
    "expired_url",
    "limited",
    "lost",
    "slow",
    "status",
]
