"""`python -m rewardtree` is the `rewardtree` script."""

from rewardtree.cli import main

if __name__ == "__main__":
    main()
