"""What operators do with the sessions of any store, a module a command."""
