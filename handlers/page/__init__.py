"""The page at `/`: what a session is, shown and tried out. `routes.py` has its group."""
