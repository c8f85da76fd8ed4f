"""Books, summarised part by part and then summary by summary; see `rewardtree.domains.books.domain`."""
