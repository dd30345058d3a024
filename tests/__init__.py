import pytest

# Suites and helpers whose assertions are to tell what was compared, as those of test modules do.
pytest.register_assert_rewrite("tests.store_contract", "tests.bad_days", "tests.steady_load")
