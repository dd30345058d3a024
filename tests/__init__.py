import pytest

# Suites and helpers whose assertions are to tell what was compared, as those of test modules do.
pytest.register_assert_rewrite(
    "tests.store_contract",
    "tests.store_contract_conditions",
    "tests.store_contract_updates",
    "tests.store_contract_values",
    "tests.helpers.bad_days",
    "tests.helpers.outages",
    "tests.helpers.records",
    "tests.helpers.steady_load",
)
