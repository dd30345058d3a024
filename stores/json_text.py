"""Values as compact JSON text, without NaN and infinity."""

from __future__ import annotations

import json

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""Return a value as JSON text."""

decode = json.JSONDecoder().decode
"""Return the value that a JSON text stands for."""
