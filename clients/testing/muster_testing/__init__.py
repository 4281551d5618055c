"""Tests for those who build on Muster: `muster_testing.channels` is the suite that every channel passes."""

import pytest

pytest.register_assert_rewrite("muster_testing.channels")
