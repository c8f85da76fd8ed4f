"""A labeller in a process of its own, started by the tests: answers comparisons until nothing waits.

Usage: labeller.py STORE NAME. Prints "given ID" for every comparison that it gets and "stored ID" for every
answer that the store acknowledged.
"""

import sys

from rewardtree.preferences import Preference, open_store


def main(target: str, name: str) -> None:
    with open_store(target, run="test") as store:
        print("ready", flush=True)
        sys.stdin.readline()
        while (taken := store.lease(name, seconds=3600.0)) is not None:
            comparison, token = taken
            print("given", comparison.id, flush=True)
            if store.answer(token, Preference(comparison=comparison.id, probability=0.5, evaluator=name)):
                print("stored", comparison.id, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
