"""No proxy of this machine stands between a test and its endpoint."""

import pytest


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("ANOMALY_OV_JUDGE_URL", "ANOMALY_OV_JUDGE_KEY", "ANOMALY_OV_JUDGE_MODEL"):
        monkeypatch.delenv(name, raising=False)
