"""The labelling page: people compare outputs with helpers' claims and metered instruments.

`create_app` makes the application over a store, `serve` runs it, `serving` runs it beside something else. All that
is stored is stored by `preferences.labelling`; what a browser or another front end gets is made in `display`,
which knows no reading that was not paid for and no policy's name.
"""

from rewardtree.web.app import create_app
from rewardtree.web.serve import serve, serving

__all__ = ["create_app", "serve", "serving"]
