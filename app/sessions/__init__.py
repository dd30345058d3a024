"""The sessions themselves: what a client's token opens, what changed, how that is saved."""
